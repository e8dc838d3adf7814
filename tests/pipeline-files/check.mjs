// Does the JSON Schema of pipeline files take what stagectl lint takes, and refuse what it refuses?
//   node check.mjs SCHEMA MODULES_FOLDER: the folders right and wrong beside this file. Prints what is not so.
import { createRequire } from 'node:module';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [schema, modules] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), 'package.json'));
const Ajv = require('ajv').default;
const YAML = require('yaml');

const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(JSON.parse(readFileSync(schema, 'utf8')));
let failed = 0;
for (const folder of ['right', 'wrong'])
    for (const name of readdirSync(join(dirname(fileURLToPath(import.meta.url)), folder))) {
        const file = join(dirname(fileURLToPath(import.meta.url)), folder, name);
        const valid = validate(YAML.parse(readFileSync(file, 'utf8'), { merge: true }));
        if (valid !== (folder === 'right')) {
            ++failed;
            console.log(`${folder}/${name}: ${valid ? 'is valid' : JSON.stringify(validate.errors)}`);
        }
    }
process.exit(failed === 0 ? 0 : 1);

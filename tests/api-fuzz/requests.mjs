// Requests as the description allows them, and as it does not. A request is a plain value: ids are numbers that are
// mapped to runs and stages that exist when it is sent, so that a printed one can be read.

// Only these are ever executed: what is generated must not reach a shell.
const commands = ['true', 'false', 'echo hello', 'seq 200', 'sleep 0.05', "printf '\\033[31mred\\377\\n'", 'exit 7', 'kill -9 $$'];

const awkward = ['', ' ', '\u0000', '\u001b[2J', '\r\n', '\u202e', '\ud83d\ude42', '\ufeff', '../..', '%2e%2e', '/', '\\', '"', "'", '`id`', '$(id)',
    '--upload-pack=x', 'null', '0', '-1', '1e309', 'true', '{}', '[]', 'a'.repeat(300), 'ü'.repeat(5000), '\u009b', '{"a":1}', ';', '&', '#', '?', '=',
    '2023-02-30T00:00:00.000Z', '9999-12-31T23:59:59.999Z', '0000-00-00', '00000000-0000-0000-0000-000000000000'];

// Those with the most behind them are sent more often.
const weights = { createRun: 5, patchStage: 4, listStages: 3, patchRun: 2, showStage: 2, stageLog: 2, listLogs: 2, listRuns: 2 };

export class Requests {
    #fc;
    #contract;

    constructor(fc, contract) {
        this.#fc = fc;
        this.#contract = contract;
    }

    /** Anything a client may send: mostly right, wrong in one part, or all wrong. */
    any() {
        const fc = this.#fc;
        const operations = this.#contract.operations();
        const each = (make) => fc.oneof(...operations.map((one) => ({ weight: weights[one.id] ?? 1, arbitrary: make(one) })));
        return fc.oneof(
            { weight: 10, arbitrary: each((one) => this.#valid(one)) },
            { weight: 8, arbitrary: each((one) => this.#spoilt(one)) },
            { weight: 1, arbitrary: this.#elsewhere(operations) });
    }

    #valid(operation) {
        const fc = this.#fc;
        const parameters = (place) => fc.record(
            Object.fromEntries(operation.parameters.filter((one) => one.in === place)
                .map((one) => [one.name, this.#parameter(one)])),
            { requiredKeys: operation.parameters.filter((one) => one.in === place && one.required).map((one) => one.name) });
        return fc.record({
            operation: fc.constant(operation.id),
            method: fc.constant(operation.method),
            template: fc.constant(operation.path),
            path: parameters('path'),
            query: parameters('query'),
            headers: parameters('header'),
            body: operation.body ? this.#body(operation) : fc.constant(undefined),
            kind: fc.constant('valid'),
        }).map((request) => (operation.id === 'createRun' ? this.#oneWay(request) : request));
    }

    #body(operation) {
        return this.#value(operation.body, 'body');
    }

    /** A run is of the service in the query, of that in the body, or of a pipeline; what an external stage does is not ours. */
    #oneWay(request) {
        const { service, pipeline, ...rest } = request.body;
        if (pipeline) {
            delete request.query.serviceId;
            for (const stage of pipeline.stages)
                if (stage.plugin === 'external')
                    delete stage.with;
                else
                    stage.with ??= { command: 'true' };
            request.body = { ...rest, pipeline: { ...pipeline, name: 'inline' } };
        } else
            request.body = request.query.serviceId ? rest : { ...rest, service: service ?? 'payment' };
        return request;
    }

    #spoilt(operation) {
        const fc = this.#fc;
        const junk = this.#junk();
        const texts = fc.oneof(fc.constantFrom(...awkward), fc.string({ unit: 'binary', maxLength: 40 }));
        return fc.tuple(this.#valid(operation), fc.nat(8), texts, junk, fc.nat(20)).map(([right, how, text, value, where]) => {
            const request = structuredClone(right);
            request.kind = 'spoilt';
            const spoil = (object) => {
                const keys = Object.keys(object);
                object[keys[where % Math.max(1, keys.length)] ?? 'x'] = text;
            };
            switch (how) {
            case 0: spoil(request.path); break;
            case 1: spoil(request.query); break;
            case 2: request.query[text] = 'x'; break;
            case 3: spoil(request.headers); break;
            case 4: request.method = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'X'][where % 9]; break;
            case 5: request.raw = text; break;
            case 6: request.body = value; break;
            case 7: request.headers['Content-Type'] = text; request.body ??= {}; break;
            default: request.body = this.#replaced(request.body ?? {}, where, value); break;
            }
            return request;
        });
    }

    /** `value` in place of one part of the body; never as a command, which would be executed. */
    #replaced(body, where, value) {
        const places = [];
        const walk = (node) => {
            if (typeof node === 'object' && node !== null)
                for (const key of Object.keys(node)) {
                    if (key !== 'command' && key !== 'with')
                        places.push([node, key]);
                    walk(node[key]);
                }
        };
        walk(body);
        if (places.length === 0)
            return { ...body, extra: value };
        const [node, key] = places[where % places.length];
        node[key] = value;
        return body;
    }

    #junk() {
        const fc = this.#fc;
        return fc.oneof(
            fc.constantFrom(null, true, 0, -1, 1.5, 1e308, Number.MAX_SAFE_INTEGER, [], {}, [[]], { '': 0 }, 'x'.repeat(70_000)),
            fc.constantFrom(...awkward),
            fc.integer({ min: 1, max: 200 }).map((depth) => JSON.parse('['.repeat(depth) + ']'.repeat(depth))),
            fc.jsonValue({ maxDepth: 3 }).filter((value) => !JSON.stringify(value).includes('command')));
    }

    #elsewhere(operations) {
        const fc = this.#fc;
        const part = fc.oneof(fc.constantFrom('api', 'stages', 'runs', 'logs', '', '.', '..', '%2f', '%00', '%zz', ';x', 'history', 'dashboard', 'API'),
            fc.string({ maxLength: 8 }).map(encodeURIComponent), fc.constantFrom(...operations).map((one) => one.path.slice(1)));
        return fc.record({
            operation: fc.constant('elsewhere'),
            method: fc.constantFrom('GET', 'POST', 'PATCH', 'DELETE', 'HEAD', 'PUT'),
            template: fc.array(part, { maxLength: 5 }).map((parts) => `/${parts.join('/')}`),
            path: fc.constant({}), query: fc.constant({}), headers: fc.constant({}), body: fc.constant(undefined), kind: fc.constant('elsewhere'),
        });
    }

    #parameter(parameter) {
        const fc = this.#fc;
        const schema = this.#contract.resolved(parameter.schema);
        switch (parameter.name) {
        case 'id': case 'stageId': case 'runId': case 'before': return fc.oneof(
            { weight: 9, arbitrary: fc.nat().map((number) => ({ pick: number })) },
            { weight: 1, arbitrary: fc.uuid({ version: 4 }) });
        case 'after': return fc.tuple(fc.constantFrom(1, 1, 2), fc.nat(40)).map(([attempt, line]) => `${attempt}.${line}`);
        case 'Range': return fc.tuple(fc.nat(50), fc.nat(50)).chain(([a, b]) => fc.constantFrom(`bytes=${a}-`, `bytes=-${b}`, `bytes=${a}-${a + b}`, 'bytes=a-b', 'lines=1-2'));
        case 'If-Match': return fc.constantFrom('*', '"1"', '"2", "3"', 'W/"1"', '3', '"x"');
        case 'Last-Event-ID': case 'lastEventId': return fc.oneof(fc.nat().map(String), fc.constant('h1.5'));
        case 'Idempotency-Key': return fc.nat(50).map((number) => `key-${number}`);
        case 'serviceId': case 'name': return fc.constantFrom('payment', 'web-shop', 'app.js', 'nobody', '6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10');
        case 'attempt': return fc.integer({ min: 1, max: 3 });
        default: return this.#value(schema, parameter.name);
        }
    }

    /** A value of the schema. `name` is the key under which it stands. */
    #value(node, name) {
        const fc = this.#fc;
        const schema = this.#contract.resolved(node);
        switch (name) {
        case 'plugin': return fc.constantFrom('shell', 'shell', 'shell', 'external');
        case 'with': return fc.constantFrom(...commands).map((command) => ({ command }));
        case 'commit': case 'commitHash': return fc.constantFrom('', 'main', 'deadbeefdeadbeef', 'v1.0', 'ünï');
        case 'service': return fc.constantFrom('payment', 'web-shop');
        case 'repository': return fc.constantFrom('https://git.example.org/a/b.git', '/srv/git/x.git');
        case 'branch': return fc.constantFrom('main', 'feature/x', 'ünï');
        case 'on': return fc.constantFrom([7], ['EXIT', 'TIMEOUT']);
        case 'memory': return fc.constantFrom('64MiB', '2GiB');
        case 'cpu': return fc.constantFrom('150%', 1.5);
        case 'artifacts': return fc.constantFrom([], ['dist/**'], { paths: ['dist'], name: 'dist', keep: '7d', when: 'always', required: true });
        case 'reports': return fc.constantFrom({ junit: ['reports/*.xml'] });
        case 'env': return fc.dictionary(fc.constantFrom('A', 'NODE_ENV', 'TARGET', 'LONG_NAME'), fc.string({ maxLength: 20 }));
        default: break;
        }
        if (schema.enum)
            return fc.constantFrom(...schema.enum.filter((value) => value !== null));
        if (schema.oneOf)
            return fc.oneof(...schema.oneOf.map((part) => this.#value(part, name)));
        switch (schema.type) {
        case 'integer': return fc.integer({ min: schema.minimum ?? -5, max: Math.min(schema.maximum ?? 100, (schema.minimum ?? 0) + 5000) });
        case 'number': return fc.integer({ min: 1, max: 4 });
        case 'boolean': return fc.boolean();
        case 'array': return fc.array(this.#value(schema.items, name), { minLength: schema.minItems ?? 0, maxLength: 4 });
        case 'object': return fc.record(
            Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, part]) => [key, this.#value(part, key)])),
            { requiredKeys: schema.required ?? [] });
        default: return this.#text(schema);
        }
    }

    #text(schema) {
        const fc = this.#fc;
        if (schema.format === 'uuid')
            return fc.uuid({ version: 4 });
        if (schema.format === 'date-time')
            return fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }).map((date) => date.toISOString());
        if (schema.example)
            return fc.constant(schema.example);
        const limit = schema.maxLength ?? 60;
        return fc.oneof(fc.string({ maxLength: Math.min(limit, 40) }), fc.string({ unit: 'grapheme', maxLength: Math.min(limit, 20) }));
    }
}

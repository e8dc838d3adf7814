const test = require('node:test');
const assert = require('node:assert');
const { Worker } = require('node:worker_threads');
test('counts', () => assert.strictEqual(require('words')(' two  words '), 2));
test('in a thread', (_, done) => { new Worker('process.exit(0)', { eval: true }).on('exit', (code) => done(code)); });

// Drives a daemon with requests that are made from the description it serves, and holds every answer against that
// description.   main.mjs BIN_FOLDER MODULES_FOLDER [--requests N] [--seed N]
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { Daemon } from '../browser/daemon.mjs';
import { Contract } from './contract.mjs';
import { Requests } from './requests.mjs';

const [bin, modules, ...options] = process.argv.slice(2);
const option = (name, byDefault) => options.includes(name) ? Number(options[options.indexOf(name) + 1]) : byDefault;
const total = option('--requests', 100_000);
const seed = option('--seed', Math.floor(Math.random() * 2 ** 31));
const require = createRequire(resolve(modules, 'package.json'));
const fc = require('fast-check');
const atOnce = 8;
const answerMs = 30_000;
const streamMs = 150;

/** An answer as { status, headers, body, partial }; `partial` of a stream, which is left after a moment. */
function ask(agent, base, { method, target, headers, body }, streams) {
    return new Promise((done, fail) => {
        const request = http.request({ host: base.hostname, port: base.port, agent, method, path: target, headers }, (response) => {
            const pieces = [];
            let partial = false;
            const leave = streams && setTimeout(() => { partial = true; response.destroy(); }, streamMs);
            const end = () => {
                clearTimeout(leave);
                clearTimeout(late);
                done({ status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces).toString(), partial });
            };
            response.on('data', (piece) => pieces.push(piece));
            response.on('end', end);
            response.on('error', (error) => (partial ? end() : fail(error)));
            response.on('close', () => partial && end());
        });
        const late = setTimeout(() => request.destroy(new Error(`no answer within ${answerMs / 1000} s`)), answerMs);
        request.on('error', (error) => { clearTimeout(late); fail(error); });
        request.end(body);
    });
}

/** An answer that only ends with its stage, or never. */
function isStream(target) {
    return /^\/api\/events(\?|$)/.test(target) || /\/log\?.*follow=/.test(target);
}

class Drive {
    #base;
    #agent = new http.Agent({ keepAlive: true, maxSockets: atOnce });
    #token;
    #contract;
    #operations;
    #runs = [];
    #stages = [];
    counts = new Map();
    sent = 0;

    constructor(daemon, contract, token) {
        this.#base = new URL(daemon.url);
        this.#contract = contract;
        this.#token = token;
        this.#operations = new Map(contract.operations().map((one) => [one.id, one]));
    }

    /** Sends it. Errors: an Error that says what is wrong with the answer. */
    async send(generated) {
        const request = this.#filled(generated);
        let answer;
        try {
            answer = await ask(this.#agent, this.#base, request, isStream(request.target));
        } catch (error) {
            if (error.code === 'ERR_INVALID_CHAR' || error.code === 'ERR_UNESCAPED_CHARACTERS' || error.code === 'ERR_INVALID_HTTP_TOKEN')
                return; // not sent: node refuses to write it
            throw new Error(`${error.message}\n${JSON.stringify(request).slice(0, 2000)}`, { cause: error });
        }
        ++this.sent;
        const key = `${generated.kind} ${answer.status}`;
        this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
        const wrong = this.#wrong(generated, request, answer);
        if (wrong)
            throw new Error(`${wrong}\n${JSON.stringify(request).slice(0, 2000)}\n${answer.status} ${JSON.stringify(answer.headers)}\n${answer.body.slice(0, 2000)}`);
        await this.#keep(generated, request, answer);
    }

    #wrong(generated, request, answer) {
        const code = answer.status >= 500 ? this.#codeOf(answer) : '';
        if (answer.status >= 500 && !['draining', 'too_many_followers', 'too_many_searches'].includes(code) && !/^\/(healthz|readyz)/.test(request.target))
            return `a ${answer.status} (${code})`;
        const operation = this.#operationOf(request, answer);
        return this.#contract.wrong(operation, answer, { bodyless: request.method === 'HEAD', partial: answer.partial });
    }

    #codeOf(answer) {
        try {
            return JSON.parse(answer.body).error.code;
        } catch {
            return 'no error object';
        }
    }

    /** Which operation answered, by what was sent: a spoilt method or path may have met another one. */
    #operationOf(request, answer) {
        const method = request.method === 'HEAD' ? 'GET' : request.method;
        const segments = request.target.split('?')[0].split('/').slice(1);
        const fits = (one) => {
            const wanted = one.path.split('/').slice(1);
            return one.method === method && wanted.length === segments.length
                && wanted.every((part, i) => part.startsWith('{') || part === segments[i]);
        };
        const candidates = [...this.#operations.values()].filter(fits);
        const exact = candidates.find((one) => !one.path.includes('{')) ?? candidates[0];
        // Where there is nothing, only a refusal is right.
        return exact ?? { id: 'nothing', responses: answer.status >= 400 ? { default: { $ref: '#/components/responses/Error' } } : {} };
    }

    #picked(name, value, operation) {
        if (typeof value !== 'object' || value === null)
            return String(value);
        const ofRun = name === 'runId' || name === 'before' || /Run|runHistory/.test(operation);
        const pool = ofRun ? this.#runs : this.#stages;
        return pool.length > 0 ? pool[value.pick % pool.length] : '6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10';
    }

    #filled({ operation, method, template, path, query, headers, body, raw }) {
        let target = template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(this.#picked(name, path[name], operation).toWellFormed()));
        const pairs = Object.entries(query).map(([name, value]) =>
            `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(this.#picked(name, value, operation).toWellFormed())}`);
        if (pairs.length > 0)
            target += `?${pairs.join('&')}`;
        const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
        return {
            method,
            target,
            headers: {
                // Node frames a body by itself only where it expects one.
                ...(sent === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(sent) }),
                ...(this.#token ? { Authorization: `Bearer ${this.#token}` } : {}),
                // What Node does not write at all is left to the fuzzers of tests/fuzz.
                ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value).replace(/[^\t\x20-\x7e\x80-\xff]/g, '?')])),
            },
            body: sent,
        };
    }

    /** Keeps what the requests are about: runs and stages that exist, and an agent that takes runs. */
    async #keep(generated, request, answer) {
        if (answer.status === 404)
            for (const pool of [this.#runs, this.#stages])
                pool.splice(0, pool.length, ...pool.filter((id) => !request.target.includes(id)));
        if (generated.operation === 'drain' && answer.status === 200)
            await this.#plain('POST', '/api/agent/resume');
        if (generated.operation === 'createRun' && answer.status === 201)
            await this.#remember(JSON.parse(answer.body).id);
        if (this.#runs.length < 5) {
            const { status, body } = await this.#plain('POST', '/api/runs', { service: 'payment' });
            if (status === 201)
                await this.#remember(JSON.parse(body).id);
        }
    }

    async #remember(run) {
        const stages = JSON.parse((await this.#plain('GET', `/api/stages?runId=${run}`)).body).map((stage) => stage.id);
        for (const [pool, ids] of [[this.#runs, [run]], [this.#stages, stages]]) {
            pool.push(...ids);
            pool.splice(0, Math.max(0, pool.length - 100));
        }
    }

    #plain(method, template, body) {
        return ask(this.#agent, this.#base, this.#filled({ operation: '', method, template, path: {}, query: {}, headers: {}, body }), false);
    }
}

console.log(`seed ${seed}, ${total} requests; again: scripts/fuzz-api --seed ${seed} --requests ${total}`);
const daemon = await Daemon.start(bin);
let failed = 0;
try {
    const read = (name) => {
        try {
            return readFileSync(join(daemon.folder, 'state', name), 'utf8').trim();
        } catch {
            return '';
        }
    };
    const token = read('admin.token');
    const described = await fetch(`${daemon.url}/api/openapi.yaml`, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
    if (described.status !== 200)
        throw new Error(`GET /api/openapi.yaml: ${described.status}`);
    const contract = new Contract(require('yaml').parse(await described.text()), require('ajv/dist/2019').default, require('ajv-formats').default);
    const drive = new Drive(daemon, contract, token);
    const requests = fc.array(new Requests(fc, contract).any(), { minLength: atOnce, maxLength: atOnce });
    const begun = Date.now();
    // No shrinking: the daemon's state is not the same when a request is sent again.
    const result = await fc.check(fc.asyncProperty(requests, async (group) => {
        await Promise.all(group.map((one) => drive.send(one)));
    }), { numRuns: Math.ceil(total / atOnce), seed, endOnFailure: true });
    if (result.failed) {
        failed = 1;
        console.error(result.errorInstance?.message ?? result.error);
    }
    if (daemon.process.exitCode !== null || daemon.process.signalCode !== null) {
        failed = 1;
        console.error(`the daemon ended: ${daemon.process.exitCode ?? daemon.process.signalCode}`);
    }
    const complaints = readFileSync(join(daemon.folder, 'output'), 'utf8').split('\n').filter((line) => /^<[0-3]>/.test(line));
    if (complaints.length > 0) {
        failed = 1;
        console.error(`the daemon logged errors:\n${complaints.slice(0, 5).join('\n')}`);
    }
    console.log(`${drive.sent} requests in ${((Date.now() - begun) / 1000).toFixed(1)} s: `
        + [...drive.counts].sort().map(([key, count]) => `${key}: ${count}`).join(', '));
} catch (error) {
    failed = 1;
    console.error(error);
} finally {
    await daemon.end();
}
console.log(`${1 - failed} passed, ${failed} failed`);
process.exit(failed);

// A daemon with its own state folder, and requests to its API.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export async function until(what, condition, ms = 20_000) {
    const end = Date.now() + ms;
    for (;;) {
        const value = await condition();
        if (value)
            return value;
        if (Date.now() > end)
            throw new Error(`waited ${ms / 1000} s for ${what}`);
        await pause(20);
    }
}

function freePort() {
    return new Promise((done) => {
        const server = createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => done(port));
        });
    });
}

function contentOf(file) {
    try {
        return readFileSync(file, 'utf8');
    } catch {
        return '';
    }
}

export function shell(command, more = {}) {
    return { type: 'BUILD', plugin: 'shell', with: { command }, ...more };
}

export class Daemon {
    static #all = new Set();
    static #over = false;

    /** Ends all there are, also those that are just starting; no other one starts. */
    static endAll() {
        Daemon.#over = true;
        return Promise.all([...Daemon.#all].map((daemon) => daemon.end()));
    }

    static async start(bin, settings = {}) {
        const daemon = new Daemon();
        daemon.settings = settings;
        Daemon.#all.add(daemon);
        daemon.bin = bin;
        daemon.folder = mkdtempSync(join(tmpdir(), 'daemon-'));
        mkdirSync(join(daemon.folder, 'services.d'));
        mkdirSync(join(daemon.folder, 'go'));
        for (const name of ['payment', 'web-shop'])
            writeFileSync(join(daemon.folder, 'services.d', `${name}.yaml`), `name: ${name}\nstages:
  - { type: PREPARE, plugin: shell, with: { command: "echo ready" } }
  - { type: UNIT_TEST, plugin: shell, with: { command: "seq 40; sleep 0.1" } }
  - { type: DEPLOY_PROD, plugin: shell, with: { command: "echo deployed" }, approval: required }\n`);
        // Fixed for this daemon, so that a restart has the same.
        daemon.port = await freePort();
        daemon.origin = `http://127.0.0.1:${daemon.port}`;
        daemon.url = daemon.origin + (settings['http.base_path'] ?? '');
        await daemon.launch();
        return daemon;
    }

    async launch() {
        if (Daemon.#over || this.ending)
            throw new Error('the tests are over');
        rmSync(join(this.folder, 'state', 'address'), { force: true });
        const output = openSync(join(this.folder, 'output'), 'a');
        const settings = { 'http.port': this.port, 'state.dir': join(this.folder, 'state'), 'services.dir': join(this.folder, 'services.d'),
            'executor.slots': 4, 'disk.min_free': '1MiB', 'auth.required': true, 'isolation.default': 'none', ...this.settings };
        this.process = spawn(join(this.bin, 'stage-agent'), Object.entries(settings).flatMap(([key, value]) => ['-D', `${key}=${value}`]),
            { stdio: ['ignore', output, output], detached: true });
        this.exit = new Promise((done) => this.process.once('exit', done));
        await until('the daemon', () => {
            if (this.process.exitCode !== null)
                throw new Error(`the daemon ended: ${contentOf(join(this.folder, 'output'))}`);
            return contentOf(join(this.folder, 'state', 'address'));
        });
        this.token = contentOf(join(this.folder, 'state', 'admin.token')).trim();
    }

    /** Declares a service, once the daemon has read it; again with another text. */
    async writeService(name, text) {
        writeFileSync(join(this.folder, 'services.d', `${name}.yaml`), text);
        const read = () => contentOf(join(this.folder, 'output')).split('services reloaded').length;
        const before = read();
        this.process.kill('SIGHUP');
        await until('the reload', () => read() > before);
    }

    /** One more, with these settings too. */
    another(settings) { return Daemon.start(this.bin, settings); }

    async stop() {
        if (this.process?.exitCode === null && this.process.signalCode === null)
            this.process.kill('SIGTERM');
        await this.exit;
    }

    /** Writes that many ended runs into the record, over a restart. */
    async writeRuns(count) {
        await this.stop();
        execFileSync(join(this.bin, 'browser-record'), [join(this.folder, 'state', 'record.db'), String(count)]);
        await this.launch();
    }

    /** Stages outlive the daemon: whatever has our folder in its command or environment is ended. */
    async end() {
        this.ending ??= (async () => {
            await this.stop();
            for (let round = 0; round < 100 && this.#killOurs(); ++round)
                await pause(20);
            rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
            Daemon.#all.delete(this);
        })();
        return this.ending;
    }

    #killOurs() {
        let found = false;
        for (const name of readdirSync('/proc')) {
            const pid = Number(name);
            if (!(pid > 1) || pid === process.pid || contentOf(`/proc/${pid}/stat`).includes(') Z '))
                continue;
            if ([contentOf(`/proc/${pid}/cmdline`), contentOf(`/proc/${pid}/environ`)].some((text) => text.includes(this.folder))) {
                found = true;
                try {
                    process.kill(pid, 'SIGKILL');
                } catch {
                    // It ended by itself.
                }
            }
        }
        return found;
    }

    /** A command that waits until go(name) is called. */
    gate(name) { return `while test ! -e ${this.folder}/go/${name}; do sleep 0.05; done`; }
    go(name) { writeFileSync(join(this.folder, 'go', name), ''); }

    async request(method, path, body) {
        const headers = { Authorization: `Bearer ${this.token}`, ...(body && { 'Content-Type': 'application/json' }) };
        const response = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
        if (!response.ok)
            throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
        return response;
    }

    async get(path) { return (await this.request('GET', path)).json(); }
    async post(path, body) { return (await this.request('POST', path, body)).json(); }

    /** Shape: {id, stages: [ids]} */
    async submit(stages, more = {}) {
        const run = await this.post('/api/runs', { pipeline: { stages }, ...more });
        const list = await this.get(`/api/stages?runId=${run.id}`);
        return { id: run.id, stages: list.map((stage) => stage.id) };
    }

    async stageIs(id, status) {
        await until(`stage ${id} to be ${status}`, async () => (await this.get(`/api/stages/${id}`)).status === status);
    }

    async runIs(id, status) {
        await until(`run ${id} to be ${status}`, async () => (await this.get(`/api/runs/${id}`)).status === status);
    }
}

// Runs all cases, or those whose name contains one of the arguments. One browser; a new page and daemon per
// case.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Daemon, until } from './daemon.mjs';
import * as access from './access.mjs';
import * as actions from './actions.mjs';
import * as connection from './connection.mjs';
import * as log from './log.mjs';
import * as results from './results.mjs';
import * as runs from './runs.mjs';
import * as safety from './safety.mjs';

const [bin, output, modules, ...words] = process.argv.slice(2);
const require = createRequire(resolve(modules, 'package.json'));
const { chromium } = require('playwright-core');
const caseMs = 90_000;
const allMs = 290_000;

const screenshots = join(output, 'screenshots');
if (words.length === 0) // of an earlier run
    rmSync(screenshots, { recursive: true, force: true });
mkdirSync(screenshots, { recursive: true });

const cases = [runs, actions, log, results, connection, safety, access].flatMap((suite) => Object.entries(suite))
    .filter(([name]) => words.length === 0 || words.some((word) => name.includes(word)));

// Files of killed browsers and daemons are removed with this folder.
const folder = mkdtempSync(join(tmpdir(), 'stage-agent-browser-'));
process.env.TMPDIR = folder;
const launching = chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
    handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false,
});
launching.catch(() => {}); // reported where it is awaited

async function end() {
    await Daemon.endAll();
    await (await launching.catch(() => null))?.close();
    // The browser's child processes may still write.
    await until('the folder to go away', () => {
        try {
            rmSync(folder, { recursive: true, force: true });
            return true;
        } catch {
            return false;
        }
    });
}
// Cleans up even if this is interrupted or hangs.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => end().finally(() => process.exit(1)));
setTimeout(() => {
    console.error(`not done within ${allMs / 1000} s`);
    end().finally(() => { console.log('0 passed, 1 failed'); process.exit(1); });
}, allMs).unref();

function within(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not done within ${caseMs / 1000} s`)), caseMs);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function runCase(browser, name, body) {
    const daemon = await Daemon.start(bin);
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    // As if the token had been given before; cases about that use a context without it.
    await context.addInitScript((token) => {
        if (!sessionStorage.getItem('stage-agent-token'))
            sessionStorage.setItem('stage-agent-token', token);
    }, daemon.token);
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(`page error: ${error.stack}`));
    page.on('console', (message) => /Content Security Policy|Trusted/i.test(message.text()) && complaints.push(message.text()));
    try {
        await within(body({
            page, daemon, context, strangers: () => browser.newContext(), axe: require.resolve('axe-core/axe.min.js'),
            open: (path = '') => page.goto(`${daemon.url}/${path}`),
            picture: (file, of = page) => of.screenshot({ path: join(screenshots, `${file}.png`) }),
        }), name);
        if (complaints.length > 0)
            throw new Error('the page complained');
    } catch (error) {
        await page.screenshot({ path: join(output, `failed-${name}.png`) }).catch(() => {});
        throw new Error([error.stack, ...complaints].join('\n'));
    } finally {
        await context.close();
        await daemon.end();
    }
}

let passed = 0;
let failed = 0;
try {
    const browser = await launching;
    for (const [name, body] of cases) {
        const begun = Date.now();
        try {
            await runCase(browser, name, body);
            ++passed;
            console.log(`ok      ${name} (${Date.now() - begun} ms)`);
        } catch (error) {
            ++failed;
            console.log(`FAILED  ${name}: ${error.stack}`);
        }
    }
} catch (error) {
    ++failed;
    console.log(`FAILED  the browser did not start: ${error.message}`);
} finally {
    await end();
}
if (passed + failed === 0)
    failed = 1;
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

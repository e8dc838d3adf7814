// A lost connection, and the token.
import assert from 'node:assert/strict';
import { shell } from './daemon.mjs';

export async function saysThatTheConnectionIsLostAndComesBack({ page, daemon, open, picture }) {
    const run = await daemon.submit([shell(`echo before; ${daemon.gate('end')}; echo after`), shell('true', { type: 'OTHER' })]);
    await daemon.stageIs(run.stages[0], 'IN_PROGRESS');
    await open(`#/runs/${run.id}/${run.stages[0]}`);
    const connection = page.locator('#connection');
    await connection.filter({ hasText: 'Live' }).waitFor();
    await page.locator('.line', { hasText: 'before' }).waitFor();
    await daemon.stop();
    await connection.filter({ hasText: 'Connection lost' }).waitFor();
    await picture('lost-desktop-light');
    // The page keeps its content, and the stage goes on.
    await page.locator('.timeline a', { hasText: 'Running' }).waitFor();
    daemon.go('end');
    await daemon.launch();
    await connection.filter({ hasText: 'Live' }).waitFor();
    await page.locator('.run-head .status.SUCCESS').waitFor();
    await page.locator('.line', { hasText: 'after' }).waitFor();
}

/** Opens the page in a browser that has no token. */
async function asAStranger(strangers, daemon, hash = '') {
    const context = await strangers();
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(`${daemon.url}/${hash}`);
    return { context, page };
}

async function isLive(page) {
    await page.locator('.row').first().waitFor();
    await page.locator('#connection', { hasText: 'Live' }).waitFor();
}

export async function asksForATokenOnceAndKeepsItInTheTab({ daemon, strangers, picture }) {
    await daemon.submit([shell('true')]);
    const { context, page } = await asAStranger(strangers, daemon);
    const dialog = page.getByRole('dialog', { name: 'Token for this agent' });
    // A page that is asked for a token has lost nothing.
    await page.locator('#connection', { hasText: 'Signed out' }).waitFor();
    await picture('signed-out-desktop-light', page);
    await dialog.getByLabel('Token').fill('sat_wrong');
    await dialog.getByRole('button', { name: 'Use token' }).click();
    await dialog.getByText('mistyped, revoked, or has expired').waitFor();
    await dialog.getByLabel('Token').fill(daemon.token);
    await dialog.getByRole('button', { name: 'Use token' }).click();
    await isLive(page);
    const sent = [];
    page.on('request', (request) => request.url().includes('/api/') && sent.push(request.headers().authorization));
    await page.reload();
    await isLive(page);
    assert.ok(sent.length > 1 && sent.every((token) => token === `Bearer ${daemon.token}`));
    assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
    const other = await context.newPage();
    await other.goto(`${daemon.url}/`);
    await other.getByRole('dialog').waitFor();
    await context.close();
}

export async function aCodeInTheAddressOpensASessionOnce({ daemon, strangers }) {
    await daemon.submit([shell('true')]);
    const { code } = await daemon.post('/api/dashboard/codes');
    const { context, page } = await asAStranger(strangers, daemon, `#code=${code}`);
    await isLive(page);
    assert.ok(!page.url().includes(code));
    assert.equal(await page.getByRole('dialog').count(), 0);
    await page.reload();
    await isLive(page);
    const late = await context.newPage();
    await late.goto(`${daemon.url}/#code=${code}`);
    await late.getByRole('dialog').getByText('used before').waitFor();
    await context.close();
}

export async function aRevokedTokenIsAskedForAgain({ daemon, strangers }) {
    await daemon.submit([shell('true')]);
    const { token } = await daemon.post('/api/tokens', { name: 'guest', role: 'read' });
    const { context, page } = await asAStranger(strangers, daemon);
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Token').fill(token);
    await dialog.getByRole('button', { name: 'Use token' }).click();
    await isLive(page);
    await daemon.request('DELETE', '/api/tokens/guest');
    await dialog.getByText('mistyped, revoked, or has expired').waitFor();
    await context.close();
}

export async function aNarrowedTokenShowsItsServicesOnly({ daemon, strangers }) {
    const own = await daemon.post('/api/runs', { service: 'payment' });
    await daemon.post('/api/runs', { service: 'web-shop' });
    const { token } = await daemon.post('/api/tokens', { name: 'guest', role: 'run', services: ['pay*'] });
    const { context, page } = await asAStranger(strangers, daemon);
    const errors = [];
    page.on('pageerror', (error) => errors.push(error));
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Token').fill(token);
    await dialog.getByRole('button', { name: 'Use token' }).click();
    await isLive(page);
    assert.equal(await page.locator('.row').count(), 1);
    await page.goto(`${daemon.url}/#/agent`);
    await page.getByText('only to the services below').waitFor();
    await page.getByRole('table', { name: 'Services' }).getByRole('cell', { name: 'payment' }).waitFor();
    assert.equal(await page.getByRole('cell', { name: 'web-shop' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: 'Drain' }).count(), 0);
    await page.goto(`${daemon.url}/#/runs/${own.id}`);
    await page.locator('.timeline a').first().waitFor();
    assert.deepEqual(errors, []);
    await context.close();
}

/** Opens the page in a browser whose tab has a token with that role. */
async function asRole(role, { daemon, strangers }, hash) {
    const { token } = await daemon.post('/api/tokens', { name: `a-${role}`, role });
    const { context, page } = await asAStranger(strangers, daemon, hash);
    await page.getByRole('dialog').getByLabel('Token').fill(token);
    await page.getByRole('dialog').getByRole('button', { name: 'Use token' }).click();
    return { context, page };
}

export async function whatARoleMayNotIsNotOffered({ daemon, strangers, picture }) {
    const waiting = await daemon.post('/api/runs', { service: 'payment' });
    const ended = await daemon.post('/api/runs', { service: 'web-shop' });
    const inline = await daemon.submit([shell('true')]);
    await daemon.runIs(waiting.id, 'AWAITING_APPROVAL');
    await daemon.runIs(ended.id, 'AWAITING_APPROVAL');
    await daemon.post(`/api/runs/${ended.id}/stop`);
    await daemon.runIs(inline.id, 'SUCCESS');
    const offered = { read: [0, 0], run: [1, 0], operate: [1, 1] };
    for (const [role, [declared, own]] of Object.entries(offered)) {
        const operates = role === 'operate';
        const { context, page } = await asRole(role, { daemon, strangers }, `#/runs/${waiting.id}`);
        await page.locator('.panel .facts').waitFor();
        const count = (name) => page.getByRole('button', { name }).count();
        for (const name of ['Stop the run', 'Approve', 'Reject', 'Skip'])
            assert.equal(await count(name), operates ? 1 : 0, `${role}: ${name}`);
        assert.equal(await page.getByText('Changes need the role operate').count(), operates ? 0 : 2, role);
        await picture(`as-${role}-desktop-light`, page);
        for (const [run, wanted] of [[ended.id, declared], [inline.id, own]]) {
            await page.goto(`${daemon.url}/#/runs/${run}`);
            await page.locator('.run-head .status.SUCCESS, .run-head .status.FAILURE').waitFor();
            assert.equal(await count('Run again'), wanted, `${role}: Run again`);
        }
        await page.goto(`${daemon.url}/#/agent`);
        await page.locator('main', { hasText: 'Slots' }).waitFor();
        assert.equal(await count('Drain'), operates ? 1 : 0, `${role}: Drain`);
        await context.close();
    }
}

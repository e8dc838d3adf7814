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

export async function asksForATokenOnceAndKeepsItInTheTab({ page, daemon, open, context }) {
    await daemon.submit([shell('true')]);
    const sent = [];
    await context.route('**/api/**', (route) => {
        const token = route.request().headers().authorization;
        sent.push(token);
        return token === 'Bearer open-sesame' ? route.continue()
            : route.fulfill({ status: 401, json: { error: { code: 'unauthorized', message: 'a token is needed' } } });
    });
    await open();
    const dialog = page.getByRole('dialog', { name: 'Token for this agent' });
    await dialog.getByLabel('Token').fill('open-sesame');
    await dialog.getByRole('button', { name: 'Use token' }).click();
    await page.locator('.row').first().waitFor();
    await page.locator('#connection', { hasText: 'Live' }).waitFor();
    sent.length = 0;
    await page.reload();
    await page.locator('.row').first().waitFor();
    await page.locator('#connection', { hasText: 'Live' }).waitFor();
    assert.ok(sent.length > 1 && sent.every((token) => token === 'Bearer open-sesame'));
    assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
    const other = await context.newPage();
    await other.goto(`${daemon.url}/`);
    await other.getByRole('dialog').waitFor();
}

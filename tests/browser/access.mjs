// Accessibility: keyboard, small screens, light and dark mode, colour blindness, screen readers.
import assert from 'node:assert/strict';
import { violations } from './axe.mjs';
import { shell, until } from './daemon.mjs';

async function focusedText(page) {
    return page.evaluate(() => (document.activeElement.getAttribute('aria-label') ?? '') + document.activeElement.textContent);
}

/** Presses Tab until what has the focus says `words`. */
async function tabTo(page, words) {
    for (let i = 0; i < 40; ++i) {
        await page.keyboard.press('Tab');
        if ((await focusedText(page)).includes(words))
            return;
    }
    throw new Error(`Tab does not lead to ${words}`);
}

export async function everythingGoesByKeyboard({ page, daemon, open }) {
    const failed = await daemon.submit([shell(`test -e ${daemon.folder}/go/mended; seq 200`, { name: 'Compile' })], { commitMessage: 'the first' });
    await daemon.runIs(failed.id, 'FAILURE');
    for (let i = 0; i < 3; ++i)
        await daemon.runIs((await daemon.submit([shell('true')])).id, 'SUCCESS');
    await open();
    await page.locator('.row').nth(3).waitFor();
    await page.keyboard.press('Tab');
    assert.ok((await focusedText(page)).includes('Skip'));
    await tabTo(page, 'Status');
    await tabTo(page, 'Success'); // the first run
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('j');
    await page.keyboard.press('End');
    assert.ok((await focusedText(page)).includes('the first'));
    await page.keyboard.press('Enter');
    await page.locator('.timeline a').waitFor();
    await tabTo(page, 'Retry');
    daemon.go('mended');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'reason');
    await page.keyboard.type('mended by hand');
    // The focus stays within the dialog.
    await tabTo(page, 'Cancel');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('.run-head .status.SUCCESS').waitFor();
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    // The pressed button is gone; the focus is beside it.
    await page.waitForFunction(() => document.activeElement.id === 'tab-log');
    await page.keyboard.press('ArrowRight');
    await page.locator('.history td', { hasText: 'mended by hand' }).first().waitFor();
    await page.keyboard.press('ArrowLeft');
    await tabTo(page, 'Go to line');
    await page.keyboard.type('150');
    await page.keyboard.press('Enter');
    await page.locator('.line.marked', { hasText: '150150' }).waitFor();
    await tabTo(page, 'Log lines');
    await page.keyboard.press('End');
    await page.locator('.line .number', { hasText: /^200$/ }).waitFor();
    // A dialog is cancelled.
    await page.keyboard.press('Home');
    await page.evaluate(() => document.querySelector('.run-head button').focus());
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.ok((await focusedText(page)).includes('Run again'));
}

const colours = '\\033[30mblack\\033[31m red\\033[32m green\\033[33m yellow\\033[34m blue\\033[35m magenta\\033[36m cyan\\033[37m white' +
    '\\033[90m grey\\033[91m red\\033[92m green\\033[93m yellow\\033[94m blue\\033[95m magenta\\033[96m cyan\\033[97m white\\033[0m' +
    '\\033[41m on red\\033[42;31m on green\\033[0m\\033[38;5;214m palette\\033[38;2;10;20;200m true\\033[0m';

async function someRuns(daemon) {
    const good = await daemon.submit([
        shell('echo fetched', { type: 'PREPARE' }), shell(`printf '${colours}\\n'; seq 30; echo '::group::Install'; echo left-pad; echo '::endgroup::'; sleep 0.4`, { type: 'UNIT_TEST' }),
        shell('echo "warning: unused" >&2; echo done; sleep 0.2', { type: 'BUILD', name: 'Build and package', output: 'separate' })],
    { commit: '8c2f1d7a90b3', commitMessage: 'Keep the cart when the session ends', committer: 'Ada Lovelace', triggerType: 'MAIN' });
    const failed = await daemon.submit([shell('echo ok', { type: 'PREPARE' }), shell('echo "3 tests failed" >&2; sleep 0.3; exit 1', { type: 'UNIT_TEST', output: 'separate' }), shell('true', { type: 'DEPLOY_PROD' })],
        { commit: '1b7e4402cafe', commitMessage: 'Round the totals the other way', committer: 'Charles Babbage', triggerType: 'PR_OPEN' });
    const waiting = await daemon.post('/api/runs', { service: 'payment', commit: 'f00dfeed1234', commitMessage: 'Release 4.2', committer: 'Grace Hopper', triggerType: 'MAIN' });
    const running = await daemon.submit([shell('echo connecting; sleep 600', { type: 'INTEGRATION_TEST', stuck_after: '1s' })], { commitMessage: 'Try the new database driver' });
    await daemon.runIs(good.id, 'SUCCESS');
    await daemon.runIs(failed.id, 'FAILURE');
    await daemon.runIs(waiting.id, 'AWAITING_APPROVAL');
    await daemon.stageIs(running.stages[0], 'IN_PROGRESS');
    return { good, failed, waiting, running };
}

export async function axeFindsNoViolation({ page, daemon, open, axe, picture }) {
    const { good, failed, waiting, running } = await someRuns(daemon);
    await until('the stage to be stuck', async () => (await daemon.get('/api/stuck')).length === 1);
    const pages = {
        runs: async () => { await open('#/'); await page.locator('.row').nth(3).waitFor(); },
        run: async () => { await open(`#/runs/${good.id}/${good.stages[1]}/1.12`); await page.locator('.line.marked').waitFor(); },
        failed: async () => { await open(`#/runs/${failed.id}`); await page.locator('.line.stderr').waitFor(); },
        history: async () => { await page.getByRole('tab', { name: 'History' }).click(); await page.locator('.history td').first().waitFor(); },
        approval: async () => {
            await open(`#/runs/${waiting.id}`);
            await page.getByRole('button', { name: 'Approve' }).click();
            await page.getByRole('dialog').waitFor();
        },
        token: async () => {
            await page.keyboard.press('Escape');
            await page.getByRole('button', { name: 'Token' }).click();
            await page.getByRole('dialog').waitFor();
        },
        start: async () => {
            await page.keyboard.press('Escape');
            await open('#/services');
            await page.getByRole('button', { name: 'Run' }).first().click();
            await page.getByRole('dialog').waitFor();
        },
        stuck: async () => { await page.keyboard.press('Escape'); await open('#/stuck'); await page.locator('.card').waitFor(); },
        services: async () => { await open('#/services'); await page.getByRole('link', { name: 'payment' }).waitFor(); },
        service: async () => { await open('#/services/payment'); await page.getByRole('heading', { name: 'payment' }).waitFor(); await page.getByText('All its runs').waitFor(); },
        agent: async () => { await open('#/agent'); await page.locator('table').nth(1).waitFor(); await page.getByText('Time limit of a stage').waitFor(); },
        missing: async () => {
            await open('#/runs/6f1b3c52-8f0e-4c5a-9a37-2f4f0f1d9b10'); await page.getByRole('alert').waitFor();
        },
    };
    const problems = [];
    const desktop = { width: 1280, height: 800 };
    const phone = { width: 390, height: 844 };
    for (const [look, viewport, colorScheme] of [['desktop-light', desktop, 'light'], ['desktop-dark', desktop, 'dark'], ['phone-light', phone, 'light'], ['phone-dark', phone, 'dark']]) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        for (const [name, show] of Object.entries(pages)) {
            await show();
            await page.locator('#connection', { hasText: 'Live' }).waitFor();
            await picture(`${name}-${look}`);
            for (const problem of await violations(page, axe))
                problems.push(`${name}, ${look}: ${problem}`);
            const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            if (wide > 0)
                problems.push(`${name}, ${look}: ${wide} pixels wider than the screen`);
        }
    }
    assert.deepEqual(problems, []);
}

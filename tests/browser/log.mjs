// The log: long, live, searched.
import assert from 'node:assert/strict';
import { shell, until } from './daemon.mjs';

async function firstShown(page) {
    return page.evaluate(() => {
        const box = document.querySelector('.lines').getBoundingClientRect();
        const row = [...document.querySelectorAll('.line')].find((line) => line.getBoundingClientRect().bottom > box.top + 1);
        return Number(row.querySelector('.number').textContent);
    });
}

export async function aLogOfFiveMillionLinesIsSmooth({ page, daemon, open }) {
    const run = await daemon.submit([shell(`seq 5000000; echo the end; ${daemon.gate('end')}`)]);
    await daemon.stageIs(run.stages[0], 'IN_PROGRESS');
    // A fast log is followed, to its last line.
    await open(`#/runs/${run.id}`);
    await page.locator('.line', { hasText: 'the end' }).waitFor({ timeout: 40_000 });
    assert.ok(await page.locator('.line').count() < 120);
    daemon.go('end');
    await page.locator('.run-head .status.SUCCESS').waitFor();
    await page.locator('.log .count', { hasText: '5,000,001 lines' }).waitFor();

    // Any line is reached by its number, and its address leads there again.
    await page.getByLabel('Go to line').fill('3141592');
    await page.getByLabel('Go to line').press('Enter');
    await page.locator('.line.marked', { hasText: '31415923141592' }).waitFor();
    assert.ok(page.url().endsWith(`/${run.stages[0]}/1.3141592`));
    await page.reload();
    await page.locator('.line.marked', { hasText: '31415923141592' }).waitFor();

    // The wheel scrolls by lines, even with a scaled scroll bar.
    await page.locator('.lines').hover();
    const before = await firstShown(page);
    await page.mouse.wheel(0, 190);
    await until('the wheel to move the log', async () => (await firstShown(page)) >= before + 5);
    const after = await firstShown(page);
    assert.ok(after - before <= 20, `moved from ${before} to ${after}`);
    await page.locator('.lines').press('Home');
    await page.locator('.line .number', { hasText: /^1$/ }).waitFor();
    await page.locator('.lines').press('End');
    await page.locator('.line', { hasText: 'the end' }).waitFor();

    const begun = Date.now();
    await page.getByLabel('Search the log').fill('4999998');
    await page.getByLabel('Search the log').press('Enter');
    await page.locator('.log-search .count', { hasText: '1 of 1' }).waitFor({ timeout: 60_000 });
    await page.locator('.line.match mark', { hasText: '4999998' }).waitFor();
    console.log(`        a search through 5,000,001 lines: ${Date.now() - begun} ms`);

    const frames = await page.locator('.lines').evaluate(async (list) => {
        const start = performance.now();
        let count = 0;
        for (; count < 60; ++count) {
            list.scrollTop -= 400;
            await new Promise(requestAnimationFrame);
        }
        return 1000 * count / (performance.now() - start);
    });
    console.log(`        scrolling: ${Math.round(frames)} frames/s`);
}

export async function searchesALog({ page, daemon, open, picture }) {
    const run = await daemon.submit([shell(
        'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i of many"; done; printf "\\033[31mErr\\033[1mor\\033[0m: no such table\\n"; ' +
        'i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo "more $i"; done; echo "second error" >&2')]);
    await daemon.runIs(run.id, 'SUCCESS');
    await open(`#/runs/${run.id}`);
    await page.locator('.line', { hasText: 'line 1 of many' }).first().waitFor();
    // The key / focuses the search.
    await page.locator('.timeline a').first().focus();
    await page.keyboard.press('/');
    await page.keyboard.type('ERROR');
    await page.keyboard.press('Enter');
    await page.locator('.log-search .count', { hasText: '1 of 2' }).waitFor();
    // Matches are found despite colours, and shown with them.
    await page.locator('.line.match', { hasText: 'Error: no such table' }).locator('.ansi-red-fg').first().waitFor();
    await picture('log-search-desktop-light');
    await page.keyboard.press('Enter');
    await page.locator('.line.match.stderr', { hasText: 'second error' }).locator('mark').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('.log-search .count', { hasText: '1 of 2' }).waitFor();
    await page.keyboard.press('Shift+Enter');
    await page.locator('.log-search .count', { hasText: '2 of 2' }).waitFor();
    await page.getByLabel('Search the log').fill('nowhere to be found');
    await page.keyboard.press('Enter');
    await page.locator('.log-search .count', { hasText: 'No match' }).waitFor();
    await page.getByRole('button', { name: 'Times' }).click();
    assert.match(await page.locator('.line .clock').first().textContent(), /^\d\d:\d\d:\d\d\.\d{3}$/);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save' }).click()]);
    assert.ok(download.suggestedFilename().endsWith('.log'));
}

export async function followsUntilTheUserScrolls({ page, daemon, open }) {
    const run = await daemon.submit([shell(`seq 300; ${daemon.gate('more')}; seq 301 600; ${daemon.gate('end')}`)]);
    await daemon.stageIs(run.stages[0], 'IN_PROGRESS');
    await open(`#/runs/${run.id}`);
    const number = (value) => page.locator('.line .number', { hasText: new RegExp(`^${value}$`) });
    await number(300).waitFor();
    const inView = (value) => page.waitForFunction((wanted) => {
        const box = document.querySelector('.lines').getBoundingClientRect();
        return [...document.querySelectorAll('.line .number')].some((one) => {
            const { top, bottom } = one.getBoundingClientRect();
            return one.textContent === String(wanted) && top >= box.top && bottom <= box.bottom;
        });
    }, value);
    await inView(300);
    // Another tab keeps the position.
    await page.getByRole('tab', { name: 'History' }).click();
    // The scroll event may be delivered only now.
    await page.evaluate(() => document.querySelector('.lines').dispatchEvent(new Event('scroll')));
    await page.getByRole('tab', { name: 'Log' }).click();
    await inView(300);
    const follow = page.getByRole('button', { name: 'Follow' });
    assert.equal(await follow.getAttribute('aria-pressed'), 'true');
    await page.locator('.lines').hover();
    await page.mouse.wheel(0, -1500);
    await page.waitForFunction(() => document.querySelector('.toggle').getAttribute('aria-pressed') === 'false');
    daemon.go('more');
    await page.locator('.log .count', { hasText: '600 lines' }).waitFor();
    assert.equal(await number(600).count(), 0);
    await follow.click();
    await inView(600);
    daemon.go('end');
    await page.locator('.run-head .status.SUCCESS').waitFor();
    await page.waitForFunction(() => document.querySelector('.toggle').disabled);
}

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

export async function groupsOfALogFold({ page, daemon, open, picture }) {
    const run = await daemon.submit([shell(
        'echo before; echo "::group::Install <i>x</i>"; seq 100 2100; echo "::endgroup::"; echo between; ' +
        'printf "section_start:1:compile\\r\\033[0KCompile all\\n"; echo inside; printf "section_end:2:compile\\r\\033[0K\\n"; ' +
        'echo "##[group]Never ended"; echo one; echo "##[group]Last"; echo two; echo "##[endgroup]"; echo after')]);
    await daemon.runIs(run.id, 'SUCCESS');
    await open(`#/runs/${run.id}`);
    const group = (title) => page.getByRole('button', { name: `Group ${title}` });
    const line = (text) => page.locator('.line .text', { hasText: new RegExp(`^${text}$`) });
    await line('100').waitFor();
    await group('Install <i>x</i>').click();
    await line('100').waitFor({ state: 'hidden' });
    // What is behind it is beside it, with its own number.
    await page.locator('.line', { hasText: 'between' }).locator('.number', { hasText: /^2005$/ }).waitFor();
    await group('Compile all').click();
    await line('inside').waitFor({ state: 'hidden' });
    await group('Never ended').click();
    await line('one').waitFor({ state: 'hidden' });
    await line('two').waitFor();
    await line('after').waitFor();
    assert.equal(await page.locator('.line').count(), 9);
    await picture('log-groups-desktop-light');
    // A line that is looked for is shown, wherever it is.
    await page.getByLabel('Search the log').fill('1999');
    await page.getByLabel('Search the log').press('Enter');
    await page.locator('.line.match', { hasText: '1999' }).waitFor();
    await page.getByLabel('Go to line').fill('2007');
    await page.getByLabel('Go to line').press('Enter');
    await page.locator('.line.marked', { hasText: 'inside' }).waitFor();
    await group('Never ended').press('Enter');
    await line('one').waitFor();
}

export async function searchesALog({ page, daemon, open, picture }) {
    const run = await daemon.submit([shell(
        'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i of many"; done; printf "\\033[31mErr\\033[1mor\\033[0m: no such table\\n"; ' +
        'i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo "more $i"; done; echo "second error" >&2', { output: 'separate' })]);
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

export async function marksLinesThatLookLikeErrors({ page, daemon, open, picture }) {
    // docs/operating.md, "What a log marks".
    const errors = ['error: no such file', 'fatal: not a git repository', '[ERROR] boom', 'ERROR: relation "orders" does not exist',
        'error[E0308]: mismatched types', 'npm ERR! code ELIFECYCLE', 'remote: error: denied', 'a.c:3:1: error: expected', 'ld: fatal error: no input',
        'a.ts(7,3): error TS2304: Cannot find name', 'make: *** [Makefile:3: all] Error 1', 'Traceback (most recent call last):', 'ValueError: x',
        'java.io.IOException: closed', 'Caused by: timeout', "thread 'main' panicked at a.rs:1", 'FAILED tests/a.py', '--- FAIL: TestX (0.00s)',
        'not ok 3 - adds', '  \u2717 works', 'sh: 1: foo: not found', 'a.sh: line 3: ./x: Permission denied', 'Segmentation fault (core dumped)',
        '<ESC>[31mError<ESC>[0m: no such table', 'progress 10%<CR>error: it broke'];
    const others = ['0 errors', 'compile error.c', 'warning: unused', '[100%] Built target error', 'test error_handling ... ok', 'error rate 3%',
        'terror: x', 'FAILOVER done', 'not okay', 'the failed one', '  "error": null,', 'No errors.', 'error: it broke<CR>recovered'];
    const run = await daemon.submit([shell(`sed 's/<ESC>/\\x1b/g; s/<CR>/\\r/g' <<'END'\n${errors.join('\n')}\n${others.join('\n')}\nEND`)]);
    await daemon.runIs(run.id, 'SUCCESS');
    await open(`#/runs/${run.id}`);
    await page.locator('.line .number', { hasText: /^1$/ }).waitFor();
    const marked = new Map();
    for (const top of [0, 300, 600]) { // only what is in sight is drawn
        await page.locator('.lines').evaluate((box, y) => { box.scrollTop = y; }, top);
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        for (const [number, fault] of await page.evaluate(() => [...document.querySelectorAll('.line')].filter((line) => line.classList.contains('stdout'))
            .map((line) => [Number(line.querySelector('.number').textContent), line.classList.contains('fault') && line.querySelector('abbr').title === 'Looks like an error'])))
            marked.set(number, fault);
    }
    [...errors, ...others].forEach((text, i) => assert.equal(marked.get(i + 1), i < errors.length, text));
    await picture('log-errors-desktop-light');
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

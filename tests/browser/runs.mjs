// The list of runs, and a followed run.
import assert from 'node:assert/strict';
import { shell, until } from './daemon.mjs';

export async function watchesARunLiveToItsEnd({ page, daemon, open, picture }) {
    const run = await daemon.submit([
        shell('echo one; echo two', { type: 'PREPARE' }),
        shell(`echo before; ${daemon.gate('first')}; echo after`, { type: 'UNIT_TEST', name: 'Unit tests' }),
        shell('echo oops >&2; exit 3', { type: 'BUILD', output: 'separate' }),
        shell('echo never', { type: 'DEPLOY_PROD' }),
    ], { commitMessage: 'Add the button', committer: 'Ada' });
    await open();
    const row = page.locator('.row a', { hasText: run.id.slice(0, 8) });
    await row.filter({ hasText: 'Running' }).waitFor();
    await row.click();
    await page.locator('h1', { hasText: run.id.slice(0, 8) }).waitFor();
    // The running stage is shown, and its log grows.
    const stage = page.locator('.timeline a[aria-current]');
    await stage.filter({ hasText: 'Unit tests' }).filter({ hasText: 'Running' }).waitFor();
    await page.locator('.line', { hasText: 'before' }).waitFor();
    assert.equal(await page.locator('.line', { hasText: 'after' }).count(), 0);
    await picture('run-live-desktop-light');
    daemon.go('first');
    await page.locator('.run-head .status.FAILURE').waitFor();
    const failed = page.locator('.timeline a', { hasText: 'Build' });
    await failed.filter({ hasText: 'exit code 3' }).waitFor();
    await page.locator('.timeline a', { hasText: 'Deploy prod' }).filter({ hasText: 'Not run' }).waitFor();
    await failed.click();
    await page.locator('.line.stderr', { hasText: 'oops' }).waitFor();
    await page.locator('.timeline a', { hasText: 'Unit tests' }).click();
    await page.locator('.line', { hasText: 'after' }).waitFor();
    assert.equal(await page.locator('.line').count(), 2);
    assert.equal(await page.locator('.timeline .bar:visible').count(), 3);
}

export async function barsAreToScale({ page, daemon, open }) {
    const run = await daemon.submit([shell('sleep 0.3'), shell('sleep 1.2')]);
    await daemon.runIs(run.id, 'SUCCESS');
    await open(`#/runs/${run.id}`);
    await page.locator('.bar.SUCCESS').nth(1).waitFor();
    const boxes = (selector) => page.evaluate((all) => [...document.querySelectorAll(all)].map((one) => {
        const { x, width } = one.getBoundingClientRect();
        return { x, width };
    }), selector);
    const [lane] = await boxes('.lane');
    const bars = await boxes('.bar');
    const details = await Promise.all(run.stages.map((id) => daemon.get(`/api/stages/${id}`)));
    const begin = Date.parse(details[0].startedAt);
    const span = Date.parse(details[1].endedAt) - begin;
    for (const [index, stage] of details.entries()) {
        const bar = bars[index];
        const wanted = lane.width * stage.durationMs / span;
        assert.ok(Math.abs(bar.width - wanted) < 3, `bar ${index} is ${bar.width} wide, not ${wanted}`);
        const left = lane.x + lane.width * (Date.parse(stage.startedAt) - begin) / span;
        assert.ok(Math.abs(bar.x - left) < 3, `bar ${index} begins at ${bar.x}, not ${left}`);
    }
}

export async function aRunHasItsNeighboursUsualTimesAndEarlierAttempts({ page, daemon, open, picture }) {
    const service = (command) => daemon.writeService('shop', `name: shop\nstages:
  - { type: PREPARE, name: Fetch, plugin: shell, with: { command: "sleep 0.2" } }
  - { type: UNIT_TEST, name: Tests, plugin: shell, with: { command: "${command}" } }\n`);
    await service('sleep 1.2');
    const start = async () => (await daemon.post('/api/runs', { service: 'shop' })).id;
    const past = [await start(), await start(), await start()];
    for (const id of past)
        await daemon.runIs(id, 'SUCCESS');
    await service(`test -e ${daemon.folder}/go/retried || exit 3; ${daemon.gate('shop')}`);
    const failed = await start();
    await daemon.runIs(failed, 'FAILURE');
    await open(`#/runs/${failed}`);
    await page.getByRole('link', { name: 'Previous' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Next' }).count(), 0);
    daemon.go('retried');
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click();
    // The running stage has an end to expect, and its first attempt is drawn before it.
    const tests = page.locator('.timeline a', { hasText: 'Tests' });
    await tests.filter({ hasText: / left|over its usual/ }).waitFor();
    await tests.locator('.usual').waitFor();
    await tests.locator('.earlier[title^="Attempt 1"]').waitFor();
    const at = async (what) => (await tests.locator(what).boundingBox()).x;
    assert.ok(await at('.earlier') < await at('.bar') && await at('.bar') < await at('.usual'));
    await picture('run-usual-desktop-light');
    await tests.filter({ hasText: 'over its usual' }).waitFor();
    daemon.go('shop');
    await page.locator('.run-head .status.SUCCESS').waitFor();
    await tests.getByText('usual').waitFor({ state: 'hidden' });
    // A run that starts meanwhile becomes the next.
    const last = await start();
    await page.getByRole('link', { name: 'Next' }).click();
    await page.locator('h1', { hasText: last.slice(0, 8) }).waitFor();
    for (const id of [failed, past[2], past[1], past[0]]) {
        await page.getByRole('link', { name: 'Previous' }).click();
        await page.locator('h1', { hasText: id.slice(0, 8) }).waitFor();
    }
    await page.getByRole('link', { name: 'Next' }).click();
    await page.locator('h1', { hasText: past[1].slice(0, 8) }).waitFor();
}

export async function aRunLinksToItsForgeAndCountsNoWaiting({ page, daemon, open, picture }) {
    await daemon.writeService('shop', `name: shop\nrepository: https://git.example.org/acme/shop.git
links: { commit: "https://git.example.org/c/{commit}", branch: "https://git.example.org/b/{branch}", pull: "https://git.example.org/p/{pull}" }
labels: { team: checkout }\nstages:
  - { type: BUILD, plugin: shell, with: { command: "sleep 0.3" } }
  - { type: DEPLOY_STAGING, plugin: shell, with: { command: "true" }, approval: required }\n`);
    const run = await daemon.post('/api/runs', { service: 'shop', commit: '8c2f1d7a90b3e4f5', branch: 'feature/a#1', pullNumber: 7, labels: { ticket: '4711' } });
    await daemon.runIs(run.id, 'AWAITING_APPROVAL');
    const { endedAt } = (await daemon.get(`/api/stages?runId=${run.id}`))[0];
    await until('some waiting', () => Date.now() - Date.parse(endedAt) > 2500);
    await daemon.request('POST', `/api/runs/${run.id}/approve-deployment`);
    await daemon.runIs(run.id, 'SUCCESS');
    assert.ok((await daemon.get(`/api/runs/${run.id}`)).duration >= 3);
    await open(`#/runs/${run.id}`);
    const facts = page.locator('.run-head');
    await facts.getByText('team:checkout, ticket:4711').waitFor();
    for (const [name, href] of [['8c2f1d7a90b3', 'https://git.example.org/c/8c2f1d7a90b3e4f5'], ['feature/a#1', 'https://git.example.org/b/feature/a%231'], ['#7', 'https://git.example.org/p/7']])
        assert.equal(await facts.getByRole('link', { name, exact: true }).getAttribute('href'), href);
    const took = facts.locator('.facts div', { hasText: 'Took' }).locator('dd');
    assert.match(await took.textContent(), /^\d+ ms$/);
    await picture('run-links-desktop-light');
    await open('#/');
    const row = page.locator('.row', { hasText: run.id.slice(0, 8) });
    assert.match(await row.locator('.took').textContent(), /^\d+ ms$/);
    // Without links there are none, and a search finds labels.
    await daemon.submit([shell('true')], { commit: 'abcdef1234567' });
    await page.getByLabel('Search runs').fill('ticket:4711');
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
    await row.waitFor();
}

export async function aPhoneShowsOneStageAndAHighLog({ page, daemon, open, picture }) {
    const run = await daemon.submit([shell('echo first', { name: 'Fetch' }), shell('seq 300', { name: 'Tests' }), shell('echo last', { name: 'Pack' })]);
    await daemon.runIs(run.id, 'SUCCESS');
    await page.setViewportSize({ width: 390, height: 844 });
    await open(`#/runs/${run.id}/${run.stages[1]}`);
    await page.locator('.line', { hasText: '11' }).first().waitFor();
    const rows = page.locator('.timeline li:visible');
    assert.equal(await rows.count(), 1);
    const height = (await page.locator('.log').boundingBox()).height;
    assert.ok(height > 0.8 * 844 && height < 844, `the log is ${height} high`);
    await page.locator('.tabs').evaluate((tabs) => tabs.scrollIntoView());
    await picture('log-phone-light');
    await page.getByRole('button', { name: '3 stages' }).click();
    assert.equal(await rows.count(), 3);
    await rows.filter({ hasText: 'Fetch' }).getByRole('link').click();
    await page.locator('.line', { hasText: 'first' }).waitFor();
    await page.getByRole('button', { name: '3 stages' }).click();
    await rows.filter({ hasText: 'Fetch' }).waitFor();
    assert.equal(await rows.count(), 1);
}

export async function filtersAndSearches({ page, daemon, open }) {
    const failed = await daemon.submit([shell('exit 1')], { commitMessage: 'Break the build' });
    const good = await daemon.submit([shell('true')], { commitMessage: 'Mend the build' });
    const served = await daemon.post('/api/runs', { service: 'payment' });
    await daemon.runIs(failed.id, 'FAILURE');
    await daemon.runIs(good.id, 'SUCCESS');
    await daemon.runIs(served.id, 'AWAITING_APPROVAL');
    await open();
    const rows = page.locator('.row');
    await rows.nth(2).waitFor();
    await page.getByLabel('Status').selectOption({ label: 'Failed' });
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
    await rows.filter({ hasText: 'Break the build' }).waitFor();
    await page.getByLabel('Status').selectOption({ label: 'Any status' });
    await page.getByLabel('Service').selectOption({ label: 'payment' });
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
    await rows.filter({ hasText: 'Needs approval' }).waitFor();
    // The address has the filters.
    await page.reload();
    await rows.filter({ hasText: 'payment' }).waitFor();
    assert.equal(await rows.count(), 1);
    await page.getByLabel('Service').selectOption({ label: 'Any service' });
    await rows.nth(2).waitFor();
    await page.getByLabel('Search runs').fill('MEND');
    await page.waitForFunction(() => document.querySelectorAll('.row').length === 1);
    // New runs that do not match are not shown.
    await daemon.submit([shell('true')], { commitMessage: 'Something else' });
    const fitting = await daemon.submit([shell('true')], { commitMessage: 'Mend it again' });
    await rows.filter({ hasText: fitting.id.slice(0, 8) }).waitFor();
    assert.equal(await rows.count(), 2);
}

/** Tells when the first rows stand, and the longest task until now. */
function watchRows() {
    new MutationObserver((_, observer) => {
        if (!document.querySelector('.row'))
            return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => { window.rowsPainted = performance.now(); }));
    }).observe(document, { childList: true, subtree: true });
    window.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
        window.longest = Math.max(window.longest, entry.duration);
    })).observe({ type: 'longtask', buffered: true });
}

async function firstPaint(page) {
    const entry = await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    return Math.round(await entry.jsonValue());
}

/** What the visits took; each has nothing cached. The first one is also the first page of a new browser. */
async function coldVisits(page, url, count) {
    const paints = [];
    for (let i = 0; i < count; ++i) {
        const context = await page.context().browser().newContext({ viewport: page.viewportSize() });
        const visitor = await context.newPage();
        await visitor.goto(url);
        paints.push(await firstPaint(visitor));
        await context.close();
    }
    return paints;
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

export async function staysSmoothWithTenThousandRuns({ page, daemon, open }) {
    const total = 10_000;
    await daemon.writeRuns(total);
    const paints = await coldVisits(page, daemon.url, 9);
    const lines = await coldVisits(page, `${daemon.url}/healthz`, 5);
    console.log(`        with ${total} runs: first paint ${median(paints)} ms, the median of ${paints.join(', ')}`);
    console.log(`        a page with lines of text: ${median(lines)} ms, the median of ${lines.join(', ')}`);

    await page.addInitScript(watchRows);
    await open();
    const rows = await page.waitForFunction(() => window.rowsPainted);
    const cold = Math.round(await rows.jsonValue());
    await page.reload();
    await page.waitForFunction(() => window.rowsPainted);
    console.log(`        its rows after ${cold} ms; again: first paint ${await firstPaint(page)} ms`);

    // Down to the last one, with elements only for visible rows.
    const scroller = page.locator('main .scroller');
    await page.waitForFunction(() => {
        const list = document.querySelector('main .scroller');
        list.scrollTop = list.scrollHeight;
        return document.querySelector('.count').textContent === '10,000 runs';
    });
    await scroller.evaluate((list) => { list.scrollTop = list.scrollHeight; });
    await page.locator('.row', { hasText: 'the oldest of all' }).waitFor();
    assert.ok(await page.locator('.row').count() < 80);
    const frames = await scroller.evaluate(async (list) => {
        const begun = performance.now();
        let count = 0;
        for (; count < 60; ++count) {
            list.scrollTop -= 700;
            await new Promise(requestAnimationFrame);
        }
        return { perSecond: 1000 * count / (performance.now() - begun), longest: window.longest };
    });
    console.log(`        scrolling: ${Math.round(frames.perSecond)} frames/s, longest task ${Math.round(frames.longest)} ms`);

    await page.reload();
    await page.locator('.row').first().waitFor();
    await page.getByLabel('Search runs').fill('the oldest of all');
    await page.locator('.row', { hasText: 'the oldest of all' }).waitFor();
    await page.locator('.count').filter({ hasText: /^1 of 10,000 runs$/ }).waitFor();
}

// Output, commits and reasons are shown as text, and the page is protected.
import assert from 'node:assert/strict';
import { shell } from './daemon.mjs';

const evil = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';

export async function showsHostileTextAsText({ page, daemon, open }) {
    const echo = `cat <<'END'
${evil}
END
printf '\\033]8;;javascript:window.pwned=1\\033\\\\click\\033]8;;\\033\\\\\\n\\033[31m'
echo '${evil}'`;
    const run = await daemon.submit([shell(echo, { name: evil }), shell('true', { type: 'OTHER', name: 'quiet', approval: 'required' })],
        { commitMessage: evil, committer: evil });
    await daemon.runIs(run.id, 'AWAITING_APPROVAL');
    await open();
    await page.locator('.row', { hasText: '<img src=x onerror' }).click();
    await page.locator('.run-head', { hasText: '<script>' }).waitFor();
    await page.locator('.timeline a', { hasText: '<img' }).click();
    await page.locator('.line', { hasText: 'click' }).waitFor();
    await page.locator('.line .ansi-red-fg', { hasText: '<script>' }).waitFor();
    await page.locator('.timeline a', { hasText: 'quiet' }).click();
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill(evil);
    await page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('tab', { name: 'History' }).click();
    await page.locator('.history td', { hasText: '<script>' }).first().waitFor();
    await page.getByRole('tab', { name: 'Log' }).click();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    assert.equal(await page.locator('main img, main script, main [onerror], main a[href^=javascript]').count(), 0);
    // Search results in hostile text are marked as text, too.
    await page.locator('.timeline a', { hasText: '<img' }).click();
    await page.getByLabel('Search the log').fill('<IMG');
    await page.getByLabel('Search the log').press('Enter');
    await page.locator('mark', { hasText: '<img' }).first().waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
}

export async function misleadingCharactersAreVisible({ page, daemon, open }) {
    const hidden = 'gpj\u202eexe \u2066a\u2069 \u200fb\u200b';
    const seen = 'gpj<U+202E>exe <U+2066>a<U+2069> <U+200F>b<U+200B>';
    const run = await daemon.submit([shell(`echo '${hidden}'`, { name: hidden }), shell('true', { type: 'OTHER', name: 'quiet', approval: 'required' })],
        { commitMessage: hidden, committer: hidden });
    await daemon.runIs(run.id, 'AWAITING_APPROVAL');
    await open();
    await page.locator('.row', { hasText: seen }).click();
    await page.locator('.run-head', { hasText: seen }).waitFor();
    await page.locator('.timeline a', { hasText: seen }).click();
    await page.locator('.line', { hasText: seen }).waitFor();
    await page.locator('.timeline a', { hasText: 'quiet' }).click();
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill(hidden);
    await page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('tab', { name: 'History' }).click();
    await page.locator('.history td', { hasText: seen }).first().waitFor();
    assert.equal(await page.evaluate(() => /[\u202e\u2066\u200f\u200b]/.test(document.documentElement.innerText)), false);
}

export async function thePolicyForbidsForeignScript({ page, daemon, open }) {
    const response = await open();
    const policy = response.headers()['content-security-policy'];
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"])
        assert.ok(policy.includes(part), policy);
    assert.ok(!policy.includes('unsafe'));
    assert.equal(response.headers()['x-content-type-options'], 'nosniff');
    assert.equal(response.headers()['referrer-policy'], 'no-referrer');
    // The page can't be framed.
    const frame = await fetch(`${daemon.url}/`, { headers: { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' } });
    assert.equal(frame.status, 403);
}

export async function thePageIsLightAndKnowsWhenItChanged({ page, daemon, open }) {
    const sizes = new Map();
    page.on('response', async (response) => {
        const url = new URL(response.url());
        if (url.pathname === '/' || url.pathname.startsWith('/dashboard/'))
            sizes.set(url.pathname, (await response.body().catch(() => '')).length);
    });
    await open();
    await page.locator('#connection', { hasText: 'Live' }).waitFor();
    await page.waitForLoadState('load');
    const weight = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    console.log(`        the page: ${sizes.size} files, ${weight} bytes`);
    assert.ok(weight > 10_000 && weight < 150_000, `${weight} bytes`);
    for (const path of sizes.keys()) {
        const first = await fetch(daemon.url + path);
        await first.arrayBuffer();
        const again = await fetch(daemon.url + path, { headers: { 'If-None-Match': first.headers.get('etag') } });
        assert.equal(again.status, 304, path);
        assert.equal((await again.arrayBuffer()).byteLength, 0);
    }
    assert.equal((await fetch(`${daemon.url}/dashboard/none.js`)).status, 404);
    assert.equal((await fetch(`${daemon.url}/`, { method: 'HEAD' })).status, 200);
    assert.equal((await fetch(`${daemon.url}/`, { method: 'POST' })).status, 405);
}

export async function thePageWorksBelowABasePath({ page, daemon }) {
    const below = await daemon.another({ 'http.base_path': '/tools/ci' });
    try {
        assert.equal((await fetch(`${below.origin}/`)).status, 404);
        const run = await below.submit([shell("seq 5000 | sed 's/$/ needle/'")], { commitMessage: 'below' });
        await below.runIs(run.id, 'SUCCESS');
        await page.addInitScript((token) => sessionStorage.setItem('stage-agent-token', token), below.token);
        await page.goto(below.url); // without the slash at the end
        await page.waitForURL(`${below.url}/`);
        await page.locator('#connection', { hasText: 'Live' }).waitFor();
        await page.locator('.row', { hasText: 'below' }).click();
        await page.getByLabel('Search the log').fill('needle');
        await page.getByLabel('Search the log').press('Enter');
        await page.locator('mark', { hasText: 'needle' }).first().waitFor();
        await page.getByRole('link', { name: 'Agent' }).click();
        await page.locator('main', { hasText: 'slots' }).waitFor();
    } finally {
        await below.end();
    }
}

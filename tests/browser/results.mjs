// What a stage left: its files and the tests that failed.
import assert from 'node:assert/strict';
import { violations } from './axe.mjs';
import { shell } from './daemon.mjs';

const report = `<testsuite name="sums">
<testcase classname="Sums" name="adds small numbers" file="tests/sums.py" line="17" time="0.012"><failure message="expected 4, got 3">Traceback:
  tests/sums.py:17: adds small numbers</failure></testcase>
<testcase classname="Sums" name="&lt;b&gt;markup&lt;/b&gt;" time="1.5"><error message="&lt;img src=x onerror=alert(1)&gt;"/></testcase>
${'<testcase name="passes"/>'.repeat(409)}<testcase name="skipped"><skipped/></testcase></testsuite>`;

// A PNG of 2 × 1 pixels.
const picture64 = 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAADUlEQVR4nGM4IQcEJwAHIwIJ5FiIOQAAAABJRU5ErkJggg==';

/** A run that left a report, files of several kinds, and nothing in its second stage. */
async function leftRun(daemon) {
    const command = `mkdir -p reports dist/img dist/deep/er; cat >reports/a.xml <<'END'
${report}
END
echo '<!DOCTYPE t [<!ENTITY a "b">]><testsuite/>' >reports/bomb.xml
printf 'hello\\nworld\\n' >dist/notes.txt; echo ${picture64} | base64 -d >dist/img/dot.png; printf 'a\\000b' >dist/deep/er/app.bin
echo '<script>document.title="owned"</script>' >dist/index.html; : >dist/empty; seq 1 300 | while read i; do echo $i >dist/deep/file-$i; done; exit 1`;
    const run = await daemon.submit([
        shell(command, { type: 'UNIT_TEST', name: 'Unit tests', artifacts: { paths: ['dist'], when: 'always' }, reports: { junit: ['reports/*.xml'] } }),
        shell('true', { when: { run: 'always' }, name: 'Clean up' })], { commitMessage: 'Leave things' });
    await daemon.runIs(run.id, 'FAILURE');
    return run;
}

/** Takes a picture in both themes, and on a phone; each must be usable by all. */
async function looks(name, { page, axe, picture }) {
    for (const [look, viewport, colorScheme] of [['desktop-light', { width: 1280, height: 800 }, 'light'], ['desktop-dark', { width: 1280, height: 800 }, 'dark'],
        ['phone-light', { width: 390, height: 844 }, 'light']]) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        await picture(`${name}-${look}`);
        assert.deepEqual(await violations(page, axe), [], look);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
}

export async function aRunsRowAndItsStageTellWhichTestsFailed({ page, daemon, open, axe, picture }) {
    const run = await leftRun(daemon);
    await open();
    await page.locator('.row a', { hasText: run.id.slice(0, 8) }).filter({ hasText: '2 of 412 failed' }).click();
    await page.locator('.run-head', { hasText: '2 of 412 failed' }).waitFor();
    await page.locator('.timeline a', { hasText: 'Unit tests' }).click();
    await page.getByRole('tab', { name: 'Tests: 2 of 412 failed' }).click();
    const failures = page.locator('.failure');
    await failures.filter({ hasText: 'Sums adds small numbers' }).filter({ hasText: 'expected 4, got 3' }).waitFor();
    assert.equal(await failures.count(), 2);
    await failures.first().locator('summary').click();
    await page.locator('.failure pre', { hasText: 'Traceback' }).waitFor();
    // What a report holds is text.
    await failures.filter({ hasText: '<b>markup</b>' }).filter({ hasText: '<img src=x' }).waitFor();
    await page.locator('.refused', { hasText: 'reports/bomb.xml declares entities' }).waitFor();
    await looks('tests', { page, axe, picture });
    // The other stage left nothing, so that its log is shown.
    await page.locator('.timeline a', { hasText: 'Clean up' }).click();
    await page.locator('#tab-log[aria-selected=true]').waitFor();
    assert.equal(await page.getByRole('tab', { name: /Tests/ }).count(), 0);
    assert.equal(await page.getByRole('tab', { name: /Files/ }).count(), 0);
}

export async function filesAreATreeWithAPreview({ page, daemon, open, axe, picture }) {
    const run = await leftRun(daemon);
    await open(`#/runs/${run.id}/${run.stages[0]}`);
    await page.locator('#tab-log').focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await page.getByRole('tab', { name: 'Files (305)' }).and(page.locator('[aria-selected=true]')).waitFor();
    const tree = page.locator('.tree');
    await tree.locator('.file', { hasText: 'notes.txt' }).click();
    await page.locator('.preview pre', { hasText: 'hello\nworld' }).waitFor();
    await tree.locator('summary', { hasText: 'img/' }).click();
    await tree.locator('.file', { hasText: 'dot.png' }).click();
    await page.getByRole('img', { name: 'dot.png, 2 × 1' }).waitFor();
    await tree.locator('.file', { hasText: 'index.html' }).click();
    await page.locator('.preview pre', { hasText: '<script>document.title="owned"</script>' }).waitFor();
    assert.notEqual(await page.title(), 'owned');
    await tree.locator('.file', { hasText: 'empty' }).click();
    await page.locator('.preview', { hasText: 'Empty.' }).waitFor();
    await tree.locator('summary', { hasText: 'deep/' }).click();
    const more = page.getByRole('button', { name: 'Show 101 more of 101' });
    await more.waitFor();
    assert.equal(await tree.locator('.file', { hasText: 'file-' }).count(), 199); // and the folder before them
    await more.click();
    assert.equal(await tree.locator('.file', { hasText: 'file-' }).count(), 300);
    await tree.locator('summary', { hasText: 'er/' }).click();
    await tree.locator('.file', { hasText: 'app.bin' }).click();
    await page.locator('.preview', { hasText: 'No text.' }).waitFor();
    await tree.locator('.file', { hasText: 'notes.txt' }).click();
    await page.locator('.preview pre', { hasText: 'hello' }).waitFor();
    await looks('files', { page, axe, picture });
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('.preview').getByRole('button', { name: 'Save' }).click()]);
    assert.equal(download.suggestedFilename(), 'notes.txt');
    const [archive] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save all of the run' }).click()]);
    assert.equal(archive.suggestedFilename(), `artifacts-${run.id.slice(0, 8)}.tar.zst`);
}

export async function aStageTellsWhichRunMadeWhatItWasGiven({ page, daemon, open, axe, picture }) {
    await daemon.writeService('lib', `name: lib\nstages:
  - { type: BUILD, plugin: shell, with: { command: "mkdir dist; echo archive >dist/lib.a" }, artifacts: { paths: [dist], name: dist } }\n`);
    await daemon.writeService('app', `name: app\nstages:
  - { type: PREPARE, plugin: shell, with: { command: "true" } }
  - { type: BUILD, plugin: shell, with: { command: cat vendor/lib/dist/lib.a }, needs: [{ service: lib, artifacts: dist, to: vendor/lib }] }\n`);
    const lib = await daemon.post('/api/runs', { service: 'lib' });
    await daemon.runIs(lib.id, 'SUCCESS');
    const app = await daemon.post('/api/runs', { service: 'app' });
    await daemon.runIs(app.id, 'SUCCESS');
    const [first, second] = await daemon.get(`/api/stages?runId=${app.id}`);
    await open(`#/runs/${app.id}/${second.id}`);
    const given = page.locator('.facts div', { hasText: 'Was given' });
    await given.filter({ hasText: `dist of lib in vendor/lib, of run ${lib.id.slice(0, 8)}` }).waitFor();
    await page.locator('.log', { hasText: 'archive' }).first().waitFor();
    await looks('needs', { page, axe, picture });
    await given.getByRole('link').click();
    await page.locator('.run-head', { hasText: 'lib' }).waitFor();
    // The stage before it was given nothing.
    await open(`#/runs/${app.id}/${first.id}`);
    await page.locator('.facts div', { hasText: 'Attempt' }).first().waitFor();
    assert.equal(await given.count(), 0);
}

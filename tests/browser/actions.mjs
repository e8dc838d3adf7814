// An operator's actions, with confirmation before and feedback after.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shell, until } from './daemon.mjs';

export async function approvesAStage({ page, daemon, open, picture }) {
    const run = await daemon.post('/api/runs', { service: 'payment', commit: '8c2f1d7a90b3e4f5', branch: 'main', commitMessage: 'Round totals <b>up</b>\n\nmore', committer: 'Ada' });
    await daemon.runIs(run.id, 'AWAITING_APPROVAL');
    await open(`#/runs/${run.id}`);
    const goesOut = 'commit 8c2f1d7a90b3 of main by Ada "Round totals <b>up</b>"';
    await page.locator('.panel .facts', { hasText: goesOut }).waitFor();
    await page.getByRole('button', { name: 'Approve' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(`Goes out: ${goesOut}`, { exact: true }).waitFor();
    await dialog.getByText('The stage starts now, without waiting for a slot.').waitFor();
    await dialog.getByLabel('Reason').fill('release of the week');
    await picture('approve-desktop-light');
    await dialog.getByRole('button', { name: 'Approve' }).click();
    await page.locator('.run-head .status.SUCCESS').waitFor();
    await page.getByRole('tab', { name: 'History' }).click();
    await page.locator('.history tr.person', { hasText: 'release of the week' }).filter({ hasText: 'Deploy prod' }).waitFor();
    await page.locator('.line', { hasText: 'deployed' }).waitFor({ state: 'hidden' });
    await picture('history-desktop-light');
    const history = await daemon.get(`/api/runs/${run.id}/history`);
    assert.ok(history.some((entry) => entry.reason === 'release of the week' && entry.from === 'AWAITING_APPROVAL' && entry.to === 'IN_PROGRESS'));
}

export async function rejectsSkipsAndCancels({ page, daemon, open }) {
    const stages = [shell('echo deployed', { type: 'DEPLOY_STAGING', approval: 'required' }), shell('true', { type: 'OTHER' })];
    const rejected = await daemon.submit(stages);
    const skipped = await daemon.submit(stages);
    await daemon.runIs(rejected.id, 'AWAITING_APPROVAL');
    await daemon.runIs(skipped.id, 'AWAITING_APPROVAL');
    await open(`#/runs/${rejected.id}`);
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await daemon.get(`/api/runs/${rejected.id}`)).status, 'AWAITING_APPROVAL');
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('dialog').getByText('the run ends as failed, cause REJECTED').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    await page.locator('.timeline a', { hasText: 'the approval was rejected' }).waitFor();
    await daemon.runIs(rejected.id, 'FAILURE');
    await open(`#/runs/${skipped.id}`);
    await page.getByRole('button', { name: 'Skip' }).click();
    await page.getByRole('dialog').getByText('cause SKIPPED').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Skip' }).click();
    await page.locator('.run-head .status.SUCCESS').waitFor();
    await page.locator('.timeline a', { hasText: 'skipped by an operator' }).waitFor();
}

export async function patchesAStuckStage({ page, daemon, open, picture }) {
    const run = await daemon.submit([shell('echo connecting to the database; sleep 600', { type: 'INTEGRATION_TEST', stuck_after: '1s' }), shell('echo on', { type: 'OTHER' })]);
    await daemon.stageIs(run.stages[0], 'IN_PROGRESS');
    await until('the stage to be stuck', async () => (await daemon.get('/api/stuck')).length === 1);
    await open('#/stuck');
    const card = page.locator('.card', { hasText: 'Integration test' });
    await card.filter({ hasText: 'Stuck since' }).filter({ hasText: 'connecting to the database' }).filter({ hasText: 'no output for 1 s' }).waitFor();
    await card.locator('.processes tr', { hasText: 'sleep' }).last().waitFor();
    await page.locator('#stuck-count', { hasText: '1' }).waitFor();
    await picture('stuck-desktop-light');
    await card.getByRole('link').click();
    await page.locator('.timeline a', { hasText: 'stuck since' }).waitFor();
    await page.getByRole('button', { name: 'End as success' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('All processes of the stage are ended').waitFor();
    await dialog.getByLabel('Reason').fill('the database is away');
    await dialog.getByRole('button', { name: 'End as success' }).click();
    await page.locator('.run-head .status.SUCCESS').waitFor();
    await page.locator('.timeline a', { hasText: 'set to success by an operator' }).waitFor();
    const [stage] = await daemon.get(`/api/stages/${run.stages[0]}/history`).then((all) => all.filter((entry) => entry.reason === 'the database is away'));
    assert.equal(stage.cause, 'OPERATOR');
    await page.getByRole('link', { name: /Stuck/ }).click();
    await page.getByText('No stage is stuck.').waitFor();
}

export async function retriesAndAcceptsAFailure({ page, daemon, open }) {
    const run = await daemon.submit([shell('echo try $STAGE_ATTEMPT; test -e mended'), shell('true')]);
    await daemon.runIs(run.id, 'FAILURE');
    await open(`#/runs/${run.id}`);
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByRole('dialog').getByText('as a new attempt').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click();
    await page.locator('.timeline a', { hasText: 'attempt 2' }).filter({ hasText: 'exit code 1' }).waitFor();
    await page.locator('.line', { hasText: 'try 2' }).waitFor();
    // The first attempt stays readable.
    await page.getByLabel('Attempt').selectOption({ label: 'Attempt 1' });
    await page.locator('.line', { hasText: 'try 1' }).waitFor();
    await page.getByRole('button', { name: 'Accept' }).click();
    await page.getByRole('dialog').getByText('Its times and exit code are kept').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Accept' }).click();
    await page.locator('.run-head .status.SUCCESS').waitFor();
    // Both the exit code and the decision are shown.
    await page.locator('.panel .facts', { hasText: 'exit code 1' }).filter({ hasText: 'OPERATOR' }).waitFor();
}

export async function stopsAndRunsAgain({ page, daemon, open }) {
    const run = await daemon.submit([shell('sleep 600')]);
    await daemon.stageIs(run.stages[0], 'IN_PROGRESS');
    await open(`#/runs/${run.id}`);
    await page.getByRole('button', { name: 'Stop the run' }).click();
    await page.getByRole('dialog').getByText('1 running or waiting stage ends as failed, cause STOPPED').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Stop the run' }).click();
    await page.locator('.timeline a', { hasText: 'the run was stopped' }).waitFor();
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Run again' }).click();
    await page.waitForURL((url) => url.hash.startsWith('#/runs/') && !url.hash.includes(run.id));
    await page.locator('.run-head .status.IN_PROGRESS').waitFor();
}

export async function reportsAConcurrentChange({ page, daemon, open }) {
    const run = await daemon.submit([shell('true', { approval: 'required' })]);
    await daemon.runIs(run.id, 'AWAITING_APPROVAL');
    await open(`#/runs/${run.id}`);
    await page.getByRole('button', { name: 'Reject' }).click();
    await daemon.request('POST', `/api/runs/${run.id}/approve-deployment`);
    await daemon.runIs(run.id, 'SUCCESS');
    await page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('dialog').getByRole('alert').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.run-head .status.SUCCESS').waitFor();
    assert.equal((await daemon.get(`/api/runs/${run.id}`)).status, 'SUCCESS');
}

export async function drainsAndResumesTheAgent({ page, daemon, open }) {
    await open('#/agent');
    await page.getByText('executor: ok').waitFor();
    await page.locator('table', { hasText: 'payment' }).filter({ hasText: 'Unit test' }).waitFor();
    await page.getByRole('button', { name: 'Drain' }).click();
    await page.getByRole('dialog').getByText('No more runs start').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
    await page.getByText('executor: draining').waitFor();
    await until('the drain', async () => (await daemon.get('/api/agent')).draining);
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
    await page.getByText('executor: ok').waitFor();
}

export async function theAgentsPageShowsWhatWaits({ page, daemon, strangers, open, picture }) {
    mkdirSync(join(daemon.folder, 'outbox.d'));
    writeFileSync(join(daemon.folder, 'outbox.d', 'ci.yaml'), 'name: orchestrator\ntype: webhook\nurl: http://127.0.0.1:9/reports\n');
    const busy = await daemon.another({ 'executor.slots': 1, 'outbox.dir': join(daemon.folder, 'outbox.d') });
    const first = await busy.submit([shell(busy.gate('first'))]);
    await busy.stageIs(first.stages[0], 'IN_PROGRESS');
    const second = await busy.submit([shell('true')]);
    const third = await busy.submit([shell('true')], { commitMessage: '<img src=x>' });
    const context = await strangers();
    await context.addInitScript((token) => sessionStorage.setItem('stage-agent-token', token), busy.token);
    const other = await context.newPage();
    await other.goto(`${busy.url}/#/agent`);
    const row = (text) => other.locator('tr', { hasText: text });
    await row(second.id.slice(0, 8)).filter({ hasText: 'a slot' }).filter({ has: other.locator('td', { hasText: /^1$/ }) }).waitFor();
    await row(third.id.slice(0, 8)).filter({ hasText: 'a slot' }).filter({ has: other.locator('td', { hasText: /^2$/ }) }).waitFor();
    assert.equal(await row(first.id.slice(0, 8)).count(), 0);
    await row('orchestrator').filter({ hasText: 'http://127.0.0.1:9/reports' }).filter({ hasText: 'fails' }).waitFor();
    await picture('agent-waiting-desktop-light', other);
    busy.go('first');
    await row(third.id.slice(0, 8)).waitFor({ state: 'hidden' });
    await context.close();
    await busy.end();
}

export async function listsStagesThatCantBeEnded({ page, context, daemon, open }) {
    const run = await daemon.submit([shell('sleep 600')]);
    await daemon.stageIs(run.stages[0], 'IN_PROGRESS');
    let setAsideStages = [{ stageId: run.stages[0], runId: run.id, processes: "1 process can't be ended: 4711 (cp) is in state D in nfs_wait", since: new Date().toISOString() }];
    // A process in state D can't be produced here, so the answer is faked.
    await context.route('**/api/agent', async (route) => {
        const agent = await (await route.fetch()).json();
        await route.fulfill({ json: { ...agent, setAside: setAsideStages.length, setAsideStages } });
    });
    await open('#/agent');
    await page.getByText("set aside: processes can't be ended").waitFor();
    const entry = page.getByRole('listitem').filter({ hasText: '4711 (cp) is in state D in nfs_wait' });
    await entry.getByRole('link', { name: `A stage of run ${run.id.slice(0, 8)}` }).click();
    await page.locator('.run-head .status.IN_PROGRESS').waitFor();
    setAsideStages = [];
    await open('#/agent');
    await page.getByText('executor: ok').waitFor();
    assert.equal(await page.getByText('Set aside').count(), 0);
}

export async function tellsSinceWhichCommitAServiceFails({ page, open }) {
    await open('#/services/payment');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Run', exact: true }).click();
    await page.waitForURL(/#\/runs\//);
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    await page.locator('.run-head .status.FAILURE').waitFor();
    await open('#/services/payment');
    await page.getByText('Failing since').waitFor();
}

export async function startsARunOfAServiceAndTellsTheWayBack({ page, daemon, open }) {
    await open('#/services/payment');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.locator('#run-branch').fill('fix/totals');
    await page.locator('#run-env').fill('no assignment');
    await page.getByRole('dialog').getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('alert').getByText('NAME=VALUE').waitFor();
    await page.locator('#run-env').fill('GREETING=hello');
    await page.getByRole('dialog').getByRole('button', { name: 'Run', exact: true }).click();
    await page.waitForURL(/#\/runs\//);
    await page.locator('.run-head', { hasText: 'fix/totals' }).waitFor();
    const [run] = await daemon.get('/api/runs?limit=1');
    assert.equal(run.branch, 'fix/totals');
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reject' }).click();
    // What was ended can be retried from the message, also on another page.
    await open('#/services/payment');
    await page.locator('#toast').getByRole('button', { name: 'Retry' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click();
    await page.locator('#toast', { hasText: 'will be retried' }).waitFor();
    await daemon.runIs(run.id, 'AWAITING_APPROVAL');
}

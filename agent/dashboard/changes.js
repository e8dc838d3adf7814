// The actions on a stage or run and their effects: the table of PATCH in words.
import { getJson, may, patchStage, request } from './api.js';
import { confirm } from './dialog.js';
import { toast } from './toast.js';
import { el } from './dom.js';
import { countWords, shortId, stageName, statusWords } from './words.js';

const goesOn = 'The run goes on with the next stage.';

/** Returns the changes that a stage's status allows; the agent may still refuse them. */
function changesOf(stage) {
    const external = stage.plugin === 'external';
    switch (stage.status) {
    case 'IDLE':
        return stage.skipped ? [] : [
            { verb: 'Start now', to: 'IN_PROGRESS', tone: 'go', what: external
                ? 'The stage is recorded as started; its work is done outside the agent. Possible only if all stages before it succeeded.'
                : 'The stage starts now, without waiting for a slot. Possible only if all stages before it succeeded.' },
            { verb: 'Skip', to: 'SUCCESS', what:
                'The stage does not run: it is recorded as a success with duration 0, cause SKIPPED. The run goes on without it.' },
        ];
    case 'AWAITING_APPROVAL':
        return [
            { verb: 'Approve', to: 'IN_PROGRESS', tone: 'go', what: 'The stage starts now, without waiting for a slot.' },
            { verb: 'Reject', to: 'FAILURE', tone: 'stop', what:
                'The stage does not run, and the run ends as failed, cause REJECTED.' },
            { verb: 'Skip', to: 'SUCCESS', what:
                'The stage does not run: it is recorded as a success with duration 0, cause SKIPPED. The run goes on without it.' },
        ];
    case 'IN_PROGRESS': {
        const ends = external
            ? 'The stage ends now, cause EXTERNAL.'
            : 'All processes of the stage are ended; the answer comes when none is left. ' +
              'If the stage ends by itself before that, its own outcome is kept and an error is shown.';
        return [
            { verb: 'End as failed', to: 'FAILURE', tone: 'stop', what: `${ends} The run ends as failed.` },
            { verb: 'End as success', to: 'SUCCESS', what: `${ends} ${goesOn}` },
        ];
    }
    case 'FAILURE':
        return stage.ended === false ? [] : [
            { verb: 'Retry', to: 'IDLE', tone: 'go', what:
                'This stage and all after it wait again, with their times cleared. The run is first in the queue ' +
                'and resumes here, in the same workspace, as a new attempt. Earlier attempts and their logs stay readable.' },
            { verb: 'Accept', to: 'SUCCESS', what:
                `The failure is accepted: the stage becomes a success, cause OPERATOR. Its times and exit code are kept. ${goesOn}` },
        ];
    default:
        return [];
    }
}

function stageDialog(stage, change) {
    return confirm({
        title: `${change.verb}: ${stageName(stage)}`,
        subject: `${statusWords[stage.status]} → ${change.to === 'IN_PROGRESS' ? 'Running' : statusWords[change.to]}`,
        about: stage.goesOut && `${change.verb === 'Approve' ? 'Goes out' : 'Waits to go out'}: ${stage.goesOut}`,
        what: change.what,
        verb: change.verb,
        tone: change.tone,
        waits: stage.status === 'IN_PROGRESS' ? 'Waiting until no process is left…' : 'Working…',
        act: (reason) => patchStage(stage, reason ? { status: change.to, reason } : { status: change.to }),
    });
}

// What a message after the change says, by the status that the stage was given.
const doneWords = { IDLE: 'will be retried', IN_PROGRESS: 'starts', SUCCESS: 'is a success now', FAILURE: 'is ended as failed' };

function openLink(runId, stageId = '') {
    return el('a', { href: `#/runs/${runId}${stageId && `/${stageId}`}` }, 'Open the run');
}

/** Tells what was done, with the way back: a stage that was ended as failed can be retried. */
function tellStage(stage, change, done) {
    const retry = change.to === 'FAILURE' && el('button', { type: 'button', onclick: async () => {
        const now = await getJson(`/api/stages/${stage.id}`);
        const again = changesOf(now).find((each) => each.verb === 'Retry');
        if (again && (await stageDialog(now, again))) {
            tellStage(now, again, done);
            done();
        }
    } }, 'Retry');
    toast(`${stageName(stage)} ${doneWords[change.to]}.`, retry, openLink(stage.runId, stage.id));
}

/** Asks for branch, commit and environment, and starts a run of the service. */
export function startRun(service) {
    const field = (id, words, hint) => [el('label', { for: id }, words, ' ', el('span', { class: 'hint' }, hint)), el('input', { id, type: 'text', spellcheck: 'false', autocomplete: 'off' })];
    const branch = field('run-branch', 'Branch', service.branch ? `else ${service.branch}` : 'may stay empty');
    const commit = field('run-commit', 'Commit', 'else the branch\'s newest');
    const env = [el('label', { for: 'run-env' }, 'Environment ', el('span', { class: 'hint' }, 'NAME=VALUE, one a line')), el('textarea', { id: 'run-env', rows: 2, spellcheck: 'false' })];
    let run = null;
    return confirm({
        title: `Run ${service.name}`, what: 'A new run starts as soon as it has a slot.', verb: 'Run', tone: 'go', withReason: false,
        fields: [...branch, ...commit, ...env],
        act: async () => {
            const body = { service: service.name };
            if (branch[1].value.trim())
                body.branch = branch[1].value.trim();
            if (commit[1].value.trim())
                body.commit = commit[1].value.trim();
            const lines = env[1].value.split('\n').filter((line) => line.trim());
            const wrong = lines.find((line) => line.indexOf('=') < 1);
            if (wrong)
                throw new Error(`The environment takes NAME=VALUE, not '${wrong}'`);
            if (lines.length > 0)
                body.env = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')).trim(), line.slice(line.indexOf('=') + 1)]));
            run = await (await request('POST', '/api/runs', { body })).json();
        },
    }).then((done) => {
        if (done)
            location.hash = `#/runs/${run.id}`;
        return done;
    });
}

function runDialog(run, stages, verb) {
    const open = stages.filter((stage) => ['IN_PROGRESS', 'AWAITING_APPROVAL'].includes(stage.status)).length;
    const texts = {
        Stop: {
            title: 'Stop this run',
            what: `${countWords(open, 'running or waiting stage ends', 'running or waiting stages end')} as failed, ` +
                'cause STOPPED; the answer comes when no process is left. Stages that have not started stay as they are. ' +
                'The run ends as failed.',
            verb: 'Stop the run', tone: 'stop', waits: 'Waiting until no process is left…',
            act: () => request('POST', `/api/runs/${run.id}/stop`),
        },
        Rerun: {
            title: 'Run this again',
            what: 'A new run starts with the same pipeline and commit. This run stays as it is.',
            verb: 'Run again', tone: 'go',
            act: async () => {
                const response = await request('POST', `/api/runs/${run.id}/rerun`);
                location.hash = `#/runs/${await response.text()}`;
            },
        },
    };
    return confirm({ ...texts[verb], withReason: false });
}

function button(verb, tone, click) {
    return el('button', { type: 'button', class: tone, onclick: click }, verb);
}

/** Returns the buttons, or which role they need if the caller has a lower one. */
function offered(role, buttons) {
    return may(role) || buttons.length === 0 ? buttons : [el('span', { class: 'hint' }, `Changes need the role ${role}`)];
}

/** Returns the buttons of what can be done with the stage. `done` is called after a change. */
export function stageActions(stage, done) {
    return offered('operate', changesOf(stage).map((change) =>
        button(change.verb, change.tone, async () => {
            if (!(await stageDialog(stage, change)))
                return;
            tellStage(stage, change, done);
            done();
        })));
}

/** As stageActions(), for the run. */
export function runActions(run, stages, done) {
    const act = (verb) => async () => {
        if (!(await runDialog(run, stages, verb)))
            return;
        if (verb === 'Stop')
            toast(`The run ${shortId(run.id)} is stopped.`, openLink(run.id));
        done();
    };
    if (!run.endedAt)
        return offered('operate', [button('Stop the run', 'stop', act('Stop'))]);
    // A pipeline of its own was given with the request, which needs more.
    return offered(run.serviceId ? 'run' : 'operate', [button('Run again', '', act('Rerun'))]);
}

// The agent itself: slots, queue, disk, plugins, services.
import { addressOf, getJson, request, isShowable, may } from './api.js';
import { confirm } from './dialog.js';
import { el, problem, refill, retext } from './dom.js';
import { bytesWords, countWords, durationWords, shortId, timeWords, typeWords, waitsWords } from './words.js';

const pollMs = 5000;
const mostWaiting = 50; // shown
const mostRead = 1000; // runs are listed newest first, and the first of the queue is among the oldest

/** /readyz answers 503 with the same lines if not ready. */
async function readiness(signal) {
    const response = await fetch(addressOf('/readyz'), { signal, cache: 'no-store' });
    return { ready: response.ok, lines: (await response.text()).trim().split('\n') };
}

function table(caption, heads, rows) {
    return el('table', { tabindex: 0 }, el('caption', {}, caption),
        el('thead', {}, el('tr', {}, heads.map((words) => el('th', { scope: 'col' }, words)))),
        el('tbody', {}, rows.map((cells) => el('tr', {}, cells.map((cell) => el('td', {}, cell ?? ''))))));
}

function setAside(stages) {
    return stages.length > 0 && [el('h2', {}, 'Set aside'), el('ul', { class: 'health' }, stages.map((stage) => el('li', {},
        el('a', { href: `#/runs/${stage.runId}/${stage.stageId}` }, 'A stage of run ', el('code', {}, shortId(stage.runId))),
        ` since ${timeWords(stage.since)}: ${stage.processes}`)))];
}

function broken(files) {
    return files.length > 0 && [el('h2', {}, 'Services with errors'), el('ul', { class: 'health' }, files.map((each) => el('li', {},
        el('b', {}, each.name), each.inUse ? ' is used as it was last read: ' : ' is not used: ', el('code', {}, each.problem))))];
}

/** Returns the runs that wait for something, in the order of the queue. */
function waiting(runs) {
    return runs.filter((run) => run.waitingFor).sort((a, b) => (a.waitingFor.place ?? Infinity) - (b.waitingFor.place ?? Infinity));
}

function reason(run) {
    const words = waitsWords({ waitingFor: { ...run.waitingFor, place: null } });
    return run.waitingFor.runId ? el('a', { href: `#/runs/${run.waitingFor.runId}` }, words) : words;
}

function queue(runs) {
    return runs.length > 0 && [table('Waiting', ['Place', 'Run', 'Service', 'Waits for', 'Since'], runs.slice(0, mostWaiting).map((run) => [
        run.waitingFor.place && run.waitingFor.place.toLocaleString('en'),
        el('a', { href: `#/runs/${run.id}` }, el('code', {}, shortId(run.id))),
        run.serviceName ?? 'inline pipeline',
        reason(run),
        timeWords(run.updatedAt)])),
    runs.length > mostWaiting && el('p', { class: 'hint' }, `and ${countWords(runs.length - mostWaiting, 'more run', 'more runs')}`)];
}

const targetWords = { ok: 'takes reports', failing: 'fails', ended: 'has ended', missing: 'has no file' };

function targets(list) {
    return list.length > 0 && table('Reports go to', ['Target', 'Address', 'State', 'Waiting', 'Oldest', 'Sent', 'Failures', 'Dropped', 'Last error'], list.map((target) => [
        target.name, target.url, `${targetWords[target.state] ?? target.state}${target.nextAttemptAt ? `, again at ${timeWords(target.nextAttemptAt)}` : ''}`,
        target.waiting.toLocaleString('en'), target.oldestAt && timeWords(target.oldestAt), target.sent.toLocaleString('en'),
        target.failures.toLocaleString('en'), target.dropped.toLocaleString('en'), target.lastError]));
}

function limitFacts(limits) {
    const time = (ms) => (ms === null ? 'none' : durationWords(ms));
    const kept = (ms) => (ms === null ? 'for ever' : durationWords(ms));
    const all = [
        ['Runs that may wait', limits.queueMax?.toLocaleString('en') ?? 'any number'],
        ['Time limit of a stage', time(limits.stageTimeoutMs)],
        ['From TERM to KILL', durationWords(limits.stageGraceMs)],
        ['Stuck after', limits.stuckAfterMs === null ? 'never' : time(limits.stuckAfterMs)],
        ['Log of a stage', limits.logMaxBytes === null ? 'any length' : bytesWords(limits.logMaxBytes)],
        ['Disk kept free', `${bytesWords(limits.minFreeBytes)}, ${countWords(limits.minFreeInodes, 'inode', 'inodes')}`],
        ['Runs kept', [kept(limits.keepRunsMs), limits.keepRuns && `at most ${limits.keepRuns.toLocaleString('en')}`].filter(Boolean).join(', ')],
        ['Workspaces kept', kept(limits.keepWorkspacesMs)],
        ['Logs compressed', limits.compressLogsAfterMs === null ? 'never' : `after ${time(limits.compressLogsAfterMs)}`],
    ];
    return el('section', {}, el('h2', {}, 'Limits'), el('dl', { class: 'facts' }, all.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)))));
}

function askDrain(agent) {
    return agent.draining
        ? confirm({ title: 'Accept new runs', what: 'New runs are accepted again, and queued runs start when a slot is free.', verb: 'Resume', tone: 'go',
            withReason: false, act: () => request('POST', '/api/agent/resume') })
        : confirm({ title: 'Drain the agent', what: 'No more runs start: running ones go on to their end, queued ones wait, new ones are refused.', verb: 'Drain', tone: 'stop',
            withReason: false, act: () => request('POST', '/api/agent/drain') });
}

export function mountAgent(main, _, { stream, signal }) {
    const facts = el('div', {});
    const aside = el('div', {});
    const flow = el('div', { class: 'lists' });
    const lists = el('div', { class: 'lists' });
    const heading = el('h1', {}, 'Agent');
    const drainButton = el('button', { type: 'button', hidden: true });
    const notice = el('div', {});
    main.append(el('div', { class: 'title' }, heading, el('span', { class: 'actions' }, drainButton)), notice, facts, aside, flow, lists);
    let agent = null;
    let drawnAside = '';
    let drawnFlow = '';
    let drawnLists = '';

    drainButton.addEventListener('click', async () => (await askDrain(agent)) && refresh());

    /** Draws what waits: runs, and reports for those who may see them. */
    async function drawFlow() {
        const whole = 'slots' in agent;
        const [runs, outbox] = await Promise.all([
            getJson(`/api/runs?status=IDLE,IN_PROGRESS,AWAITING_APPROVAL&limit=${mostRead}`, { signal }),
            whole ? getJson('/api/outbox?limit=1', { signal }) : { targets: [] }]);
        const now = JSON.stringify([waiting(runs).map((run) => [run.id, run.waitingFor]), outbox.targets]);
        if (now !== drawnFlow)
            refill(flow, queue(waiting(runs)), targets(outbox.targets));
        drawnFlow = now;
    }

    function draw(health, services) {
        const fact = (name, ...value) => el('div', {}, el('dt', {}, name), el('dd', {}, ...value));
        const whole = 'slots' in agent; // else the token is narrowed to services
        retext(heading, agent.host);
        drainButton.hidden = !whole || !may('operate');
        drainButton.textContent = agent.draining ? 'Resume' : 'Drain';
        refill(facts,
            el('dl', { class: 'facts' },
                whole && [
                    fact('Slots', `${agent.running} of ${agent.slots} in use${agent.setAside > 0 ? `, ${agent.setAside} set aside: processes can't be ended` : ''} `,
                        el('meter', { min: 0, max: agent.slots, value: agent.running, 'aria-label': 'Slots in use' })),
                    fact('Queue', agent.queueLength === 1 ? '1 run' : `${agent.queueLength} runs`),
                    fact('New runs', agent.draining ? 'refused: the agent is draining' : 'accepted'),
                    fact('Disk', `${bytesWords(agent.freeBytes)} free${agent.freeInodes !== null ? `, ${countWords(agent.freeInodes, 'inode', 'inodes')}` : ''}`),
                ],
                !whole && fact('Access', 'only to the services below'),
                fact('Version', agent.version)),
            el('h2', {}, health.ready ? 'Ready' : 'Not ready'),
            el('ul', { class: 'health' }, health.lines.slice(0, -1).map((line) => el('li', {}, line))));
        // Redrawn only on a change, which keeps a click in progress.
        const asideNow = JSON.stringify([agent.setAsideStages, agent.brokenServices]);
        if (asideNow !== drawnAside)
            refill(aside, setAside(agent.setAsideStages ?? []), broken(agent.brokenServices ?? []));
        drawnAside = asideNow;
        const now = JSON.stringify([agent.plugins, agent.limits, services]);
        if (now === drawnLists)
            return;
        drawnLists = now;
        refill(lists,
            whole && limitFacts(agent.limits),
            table('Services', ['Name', 'Stages', 'Repository', 'Branch', 'Concurrency'], services.map((service) => [
                el('a', { href: `#/services/${service.name}` }, service.name),
                service.stages.map((stage) => (stage.name === stage.type ? typeWords(stage.type) : stage.name)).join(', '),
                service.repository, service.branch, String(service.concurrency)])),
            whole && table('Plugins', ['Name', 'Version', 'Description', 'SHA-256'], agent.plugins.map((plugin) => [
                plugin.name, plugin.version, plugin.description, el('code', { title: plugin.sha256 }, plugin.sha256.slice(0, 16))])));
    }

    async function refresh() {
        try {
            const [now, health, services] = await Promise.all([
                getJson('/api/agent', { signal }), readiness(signal), getJson('/api/services', { signal })]);
            agent = now;
            refill(notice);
            draw(health, services);
            await drawFlow();
        } catch (error) {
            if (isShowable(error) && !agent)
                refill(notice, problem(error));
        }
    }

    // Free disk space changes without an event.
    const timer = setInterval(() => document.hidden || refresh(), pollMs);
    signal.addEventListener('abort', () => clearInterval(timer));
    let soon = 0;
    stream.addEventListener('run', () => { soon ||= setTimeout(() => { soon = 0; if (!signal.aborted) refresh(); }, 500); }, { signal });
    refresh();
    return { refresh };
}

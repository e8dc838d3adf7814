// The agent itself: slots, queue, disk, plugins, services.
import { addressOf, getJson, request, isShowable, may } from './api.js';
import { confirm } from './dialog.js';
import { el, problem, refill, retext } from './dom.js';
import { bytesWords, shortId, timeWords, typeWords } from './words.js';

const pollMs = 5000;

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
    const lists = el('div', { class: 'lists' });
    const heading = el('h1', {}, 'Agent');
    const drainButton = el('button', { type: 'button', hidden: true });
    const notice = el('div', {});
    main.append(el('div', { class: 'title' }, heading, el('span', { class: 'actions' }, drainButton)), notice, facts, aside, lists);
    let agent = null;
    let drawnAside = '';
    let drawnLists = '';

    drainButton.addEventListener('click', async () => (await askDrain(agent)) && refresh());

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
                    fact('Disk', `${bytesWords(agent.freeBytes)} free`),
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
        const now = JSON.stringify([agent.plugins, services]);
        if (now === drawnLists)
            return;
        drawnLists = now;
        refill(lists,
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
        } catch (error) {
            if (isShowable(error) && !agent)
                refill(notice, problem(error));
        }
    }

    // Free disk space changes without an event.
    const timer = setInterval(() => document.hidden || refresh(), pollMs);
    signal.addEventListener('abort', () => clearInterval(timer));
    let frame = 0;
    stream.addEventListener('run', () => { frame ||= requestAnimationFrame(() => { frame = 0; refresh(); }); }, { signal });
    refresh();
    return { refresh };
}

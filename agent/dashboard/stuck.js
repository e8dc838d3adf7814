// Stages that do not get on, over all runs, with what they do right now.
import { getJson, tellable } from '/dashboard/api.js';
import { lineNodes } from '/dashboard/ansi.js';
import { stageActions } from '/dashboard/changes.js';
import { el, problem, refill } from '/dashboard/dom.js';
import { durationWords, shortId, stageName, timeWords, took } from '/dashboard/words.js';

const soonMs = 500;
// What processes do changes without an event.
const lookMs = 5000;

const processStates = { R: 'runs', S: 'sleeps', D: 'waits for a device', T: 'is stopped', t: 'is traced', Z: 'has ended', I: 'is idle' };

/** Calls `act` soon after a change, once for many. */
function onChange(stream, act, signal) {
    let timer = 0;
    const soon = () => {
        timer ||= setTimeout(() => { timer = 0; if (!signal?.aborted) act(); }, soonMs);
    };
    for (const type of ['stage', 'deleted', 'open'])
        stream.addEventListener(type, soon, { signal });
}

/** Keeps the number beside the page's name. */
export function countStuck(badge, stream) {
    onChange(stream, async () => {
        try {
            const count = (await getJson('/api/stuck')).length;
            badge.hidden = count === 0;
            badge.textContent = String(count);
        } catch (error) {
            tellable(error); // the page itself says what is wrong
        }
    });
}

function processTable(processes) {
    return el('div', { class: 'processes', tabindex: 0, role: 'region', 'aria-label': 'Its processes' }, el('table', {},
        el('thead', {}, el('tr', {}, ['Process', 'Command', 'State', 'Waits in', 'CPU', 'Age'].map((words) => el('th', { scope: 'col' }, words)))),
        el('tbody', {}, processes.map((process) => el('tr', {},
            el('td', {}, String(process.pid)),
            el('td', {}, el('code', {}, process.command)),
            el('td', {}, processStates[process.state] ?? process.state),
            el('td', {}, process.waitChannel),
            el('td', {}, durationWords(process.cpuMs)),
            el('td', {}, durationWords(process.ageMs)))))));
}

function card(stage, done) {
    const now = Date.now();
    return el('article', { class: 'card' },
        el('div', { class: 'title' },
            el('h2', {}, el('a', { href: `#/runs/${stage.runId}/${stage.id}` },
                `${stageName(stage)} of ${stage.service ?? 'an inline pipeline'} `, el('code', {}, shortId(stage.runId)))),
            el('span', { class: 'actions' }, stageActions(stage, done).map(({ verb, tone, click }) =>
                el('button', { type: 'button', class: tone, onclick: click }, verb)))),
        el('p', {}, el('b', { class: 'stuck' }, `Stuck since ${timeWords(stage.stuckSince)}`),
            `, for ${durationWords(now - Date.parse(stage.stuckSince))}: ${stage.stuckWhy ?? 'it does not get on'}. Runs for ${took(stage, now)}.`),
        stage.processes.length > 0 && processTable(stage.processes),
        stage.lastLines.length > 0 ? el('pre', { class: 'tail', 'aria-label': 'Last lines of its log', tabindex: 0 },
            stage.lastLines.flatMap((line) => [...lineNodes(line), '\n'])) : el('p', { class: 'hint' }, 'It printed nothing.'));
}

export function mountStuck(main, _, { stream, signal }) {
    const list = el('div', { class: 'cards' });
    main.append(el('h1', {}, 'Stuck stages'),
        el('p', { class: 'intro' }, 'Running stages that print nothing for longer than their stuck_after, or run far past their usual time.'), list);

    async function refresh() {
        try {
            const stages = await getJson('/api/stuck', { signal });
            const hadFocus = list.contains(document.activeElement);
            refill(list, stages.length > 0 ? stages.map((stage) => card(stage, refresh)) : el('p', { class: 'empty' }, 'No stage is stuck.'));
            if (hadFocus)
                main.focus({ preventScroll: true });
        } catch (error) {
            if (tellable(error))
                refill(list, problem(error));
        }
    }

    // Nothing changes under the hands of a person who is about to do something.
    const busy = () => document.hidden || list.matches(':focus-within, :hover') || document.querySelector('dialog');
    const timer = setInterval(() => busy() || refresh(), lookMs);
    signal.addEventListener('abort', () => clearInterval(timer));
    onChange(stream, refresh, signal);
    refresh();
    return {};
}

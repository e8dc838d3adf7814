// Stages reported as stuck, over all runs, with their processes and last lines.
import { getJson, isShowable } from './api.js';
import { lineNodes } from './ansi.js';
import { stageActions } from './changes.js';
import { el, problem, refill } from './dom.js';
import { processTable } from './processes.js';
import { durationWords, shortId, stageName, timeWords, took } from './words.js';

const soonMs = 500;
// Processes change without an event.
const pollMs = 5000;

/** Calls `act` soon after a change, once for several. */
function onChange(stream, act, signal) {
    let timer = 0;
    const soon = () => {
        timer ||= setTimeout(() => { timer = 0; if (!signal?.aborted) act(); }, soonMs);
    };
    for (const type of ['stage', 'deleted', 'open'])
        stream.addEventListener(type, soon, { signal });
}

/** Keeps the count in the navigation up to date. */
export function countStuck(badge, stream) {
    onChange(stream, async () => {
        try {
            const count = (await getJson('/api/stuck')).length;
            badge.hidden = count === 0;
            badge.textContent = String(count);
        } catch (error) {
            isShowable(error); // the page itself shows the error
        }
    });
}

function card(stage, done) {
    const now = Date.now();
    return el('article', { class: 'card' },
        el('div', { class: 'title' },
            el('h2', {}, el('a', { href: `#/runs/${stage.runId}/${stage.id}` },
                `${stageName(stage)} of ${stage.service ?? 'an inline pipeline'} `, el('code', {}, shortId(stage.runId)))),
            el('span', { class: 'actions' }, stageActions(stage, done))),
        el('p', {}, el('b', { class: 'stuck' }, `Stuck since ${timeWords(stage.stuckSince)}`),
            `, for ${durationWords(now - Date.parse(stage.stuckSince))}: ${stage.stuckWhy ?? 'no progress'}. Running for ${took(stage, now)}.`),
        stage.processes.length > 0 && processTable(stage.processes),
        stage.lastLines.length > 0 ? el('pre', { class: 'tail', 'aria-label': 'Last log lines', tabindex: 0 },
            stage.lastLines.flatMap((line) => [...lineNodes(line), '\n'])) : el('p', { class: 'hint' }, 'No output.'));
}

export function mountStuck(main, _, { stream, signal }) {
    const list = el('div', { class: 'cards' });
    main.append(el('h1', {}, 'Stuck stages'),
        el('p', { class: 'intro' }, 'Running stages without output for longer than their stuck_after, or running far beyond their usual time.'), list);

    async function refresh() {
        try {
            const stages = await getJson('/api/stuck', { signal });
            const hadFocus = list.contains(document.activeElement);
            refill(list, stages.length > 0 ? stages.map((stage) => card(stage, refresh)) : el('p', { class: 'empty' }, 'No stage is stuck.'));
            if (hadFocus)
                main.focus({ preventScroll: true });
        } catch (error) {
            if (isShowable(error))
                refill(list, problem(error));
        }
    }

    // No redraw while the user is about to click or type.
    const busy = () => document.hidden || list.matches(':focus-within, :hover') || document.querySelector('dialog');
    const timer = setInterval(() => busy() || refresh(), pollMs);
    signal.addEventListener('abort', () => clearInterval(timer));
    onChange(stream, refresh, signal);
    refresh();
    return {};
}

// Stages that do not get on, over all runs.
import { getJson, request, serviceNames, stageDetail, tellable } from '/dashboard/api.js';
import { lineNodes } from '/dashboard/ansi.js';
import { stageActions } from '/dashboard/changes.js';
import { el, problem, refill } from '/dashboard/dom.js';
import { durationWords, shortId, stageName, timeWords, took } from '/dashboard/words.js';

const lastLines = 5;
const soonMs = 1000;

/** Stages with `stuckSince`, the longest stuck first. */
async function stuckStages(signal) {
    const runs = await getJson('/api/runs?status=IN_PROGRESS&limit=1000', { signal });
    const lists = await Promise.all(runs.map((run) => getJson(`/api/stages?runId=${run.id}`, { signal })));
    const details = await Promise.all(lists.flat().filter((stage) => stage.status === 'IN_PROGRESS')
        .map((stage) => stageDetail(stage.id, { signal }).catch(() => null)));
    const services = new Map(runs.map((run) => [run.id, run.serviceId]));
    return details.filter((stage) => stage?.stuckSince).sort((a, b) => a.stuckSince.localeCompare(b.stuckSince))
        .map((stage) => ({ ...stage, serviceId: services.get(stage.runId) }));
}

async function tail(stage, signal) {
    const query = `stageId=${stage.id}&attempt=${stage.attempt}`;
    const response = await request('GET', `/api/logs?${query}&limit=1`, { signal });
    await response.arrayBuffer();
    const after = Math.max(0, Number(response.headers.get('Line-Count')) - lastLines);
    return getJson(`/api/logs?${query}&after=${stage.attempt}.${after}&limit=${lastLines}`, { signal });
}

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
        const stages = await stuckStages().catch(() => null);
        if (!stages)
            return;
        badge.hidden = stages.length === 0;
        badge.textContent = String(stages.length);
    });
}

export function mountStuck(main, _, { stream, signal }) {
    const list = el('div', { class: 'cards' });
    main.append(el('h1', {}, 'Stuck stages'),
        el('p', { class: 'intro' }, 'Running stages that print nothing for longer than their stuck_after, or run far past their usual time.'), list);

    async function card(stage, services) {
        const lines = await tail(stage, signal).catch(() => []);
        const now = Date.now();
        const service = stage.serviceId ? services.get(stage.serviceId) ?? shortId(stage.serviceId) : 'Inline pipeline';
        return el('article', { class: 'card' },
            el('div', { class: 'title' },
                el('h2', {}, el('a', { href: `#/runs/${stage.runId}/${stage.id}` }, `${stageName(stage)} of ${service} `, el('code', {}, shortId(stage.runId)))),
                el('span', { class: 'actions' }, stageActions(stage, refresh).map(({ verb, tone, click }) =>
                    el('button', { type: 'button', class: tone, onclick: click }, verb)))),
            el('p', {}, el('b', { class: 'stuck' }, `Stuck since ${timeWords(stage.stuckSince)}`),
                ` (${durationWords(now - Date.parse(stage.stuckSince))}), running for ${took(stage, now)}.`,
                stage.message && ` ${stage.message}`),
            lines.length > 0 ? el('pre', { class: 'tail', 'aria-label': 'Last lines of its log', tabindex: 0 },
                lines.flatMap((line) => [...lineNodes(line.message), '\n'])) : el('p', { class: 'hint' }, 'It printed nothing.'));
    }

    async function refresh() {
        try {
            const [stages, services] = await Promise.all([stuckStages(signal), serviceNames({ signal })]);
            const cards = await Promise.all(stages.map((stage) => card(stage, services)));
            const hadFocus = list.contains(document.activeElement);
            refill(list, ...(cards.length > 0 ? cards : [el('p', { class: 'empty' }, 'No stage is stuck.')]));
            if (hadFocus || document.activeElement === document.body)
                main.focus({ preventScroll: true });
        } catch (error) {
            if (tellable(error))
                refill(list, problem(error));
        }
    }

    onChange(stream, refresh, signal);
    refresh();
    return {};
}

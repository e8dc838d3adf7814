// The history: who changed what, when and why.
import { getJson, isShowable } from './api.js';
import { el, problem, refill } from './dom.js';
import { statusWords, timeWords } from './words.js';

function change(entry) {
    const words = (status) => statusWords[status] ?? status;
    if (!entry.from && !entry.to)
        return 'Noted';
    if (entry.from === entry.to)
        return words(entry.to);
    return entry.from ? `${words(entry.from)} → ${entry.to ? words(entry.to) : 'deleted'}` : `${words(entry.to)}`;
}

/** Draws the history at `path` into `root`; `names` maps stage ids to names. */
export async function drawHistory(root, path, names, signal) {
    let entries;
    try {
        entries = await getJson(path, { signal });
    } catch (error) {
        if (isShowable(error))
            refill(root, problem(error));
        return;
    }
    const head = (words) => el('th', { scope: 'col' }, words);
    refill(root, el('table', { class: 'history' },
        el('thead', {}, el('tr', {}, ['When', 'Who', 'What', 'Change', 'Cause', 'Reason'].map(head))),
        el('tbody', {}, entries.toReversed().map((entry) => el('tr', { class: entry.actor === 'agent' ? null : 'person' },
            el('td', {}, el('time', { datetime: entry.at, title: entry.at }, timeWords(entry.at))),
            el('td', {}, entry.actor),
            el('td', {}, entry.stageId ? names.get(entry.stageId) ?? 'a deleted stage' : 'the run',
                entry.attempt > 1 && ` (attempt ${entry.attempt})`),
            el('td', {}, change(entry)),
            el('td', {}, entry.cause ?? ''),
            el('td', { class: 'reason' }, entry.reason ?? ''))))));
}

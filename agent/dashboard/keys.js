// The keys, shown by `?`.
import { el } from './dom.js';

const keys = [
    ['/', 'search'],
    ['↑ ↓  j k', 'through the runs'],
    ['PgUp PgDn  Home End', 'through the runs or the log, faster'],
    ['Enter', 'open the run; in the search of a log: the next match, with Shift the one before'],
    ['← →', 'between Log and History of a stage'],
    ['Esc', 'close a dialog'],
    ['?', 'this list'],
];

export function showKeys() {
    const close = el('button', { type: 'button', onclick: () => dialog.close() }, 'Close');
    const dialog = el('dialog', { 'aria-labelledby': 'dialog-title' },
        el('h2', { id: 'dialog-title' }, 'Keys'),
        el('dl', { class: 'keys' }, keys.map(([key, what]) => el('div', {}, el('dt', {}, el('kbd', {}, key)), el('dd', {}, what)))),
        el('div', { class: 'buttons' }, close));
    document.body.append(dialog);
    dialog.addEventListener('close', () => dialog.remove());
    dialog.showModal();
}

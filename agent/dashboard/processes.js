// The processes of a stage, with what each waits for in words.
import { el } from './dom.js';
import { durationWords } from './words.js';

const states = { R: 'runs', S: 'waits', D: 'in the kernel', T: 'stopped', t: 'stopped', Z: 'zombie', I: 'idle' };

const mostShown = 200; // bubblewrap's have two thousand characters

function command(process) {
    const words = process.arguments.length > 0 ? process.arguments.join(' ') : `[${process.command}]`;
    return words.length > mostShown ? `${words.slice(0, mostShown)}…` : words;
}

export function processTable(processes) {
    return el('div', { class: 'processes', tabindex: 0, role: 'region', 'aria-label': 'Processes' }, el('table', {},
        el('thead', {}, el('tr', {}, ['PID', 'State', 'Waits for', 'Command', 'CPU', 'Age'].map((words) => el('th', { scope: 'col' }, words)))),
        el('tbody', {}, processes.map((process) => el('tr', {},
            el('td', {}, String(process.pid)),
            el('td', { title: process.state }, states[process.state] ?? process.state),
            el('td', { class: 'waits' }, process.waitsFor?.words, process.waitsFor && ' ', process.waitsIn && el('code', { class: 'hint' }, process.waitsIn)),
            el('td', {}, el('code', {}, command(process))),
            el('td', {}, durationWords(process.cpuMs)),
            el('td', {}, durationWords(process.ageMs)))))));
}

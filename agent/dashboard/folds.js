// The groups of a log: markers of GitHub, Azure and GitLab, and which groups are folded.
import { nextOf, request } from './api.js';
import { numberOf } from './loglines.js';

const github = /^::group::(.*)/;
const azure = /^##\[group\](.*)/;
const gitlab = /section_start:\d+:([\w.-]+)(?:\[[^\]]*\])?\r?(?:\x1b\[0K)?(.*)/;

/** Returns the group that a line begins, {title, marks, ends(message)}; null if it begins none. */
export function groupOf(message) {
    const line = message.replace(/\r+$/, '');
    const simple = github.exec(line) ?? azure.exec(line);
    if (simple) {
        const marks = line.startsWith('::') ? ['::endgroup::', '::group::'] : ['##[endgroup]', '##[group]'];
        return { title: simple[1], marks, ends: (other) => marks.some((mark) => other.startsWith(mark)) };
    }
    const section = gitlab.exec(line);
    return section && { title: section[2] || section[1], marks: ['section_end:'],
        ends: (other) => /section_end:\d+:([\w.-]+)/.exec(other)?.[1] === section[1] };
}

/** Returns the last line of the group that begins in line `number`; null if nothing ends it. */
export async function endOf(group, { stageId, attempt, number, signal }) {
    const found = await Promise.all(group.marks.map(async (search) => {
        let target = `/api/logs?${new URLSearchParams({ stageId, attempt, search, after: `${attempt}.${number}`, limit: 100 })}`;
        while (target) {
            const response = await request('GET', target, { signal });
            const end = (await response.json()).find((line) => group.ends(line.message));
            if (end)
                return groupOf(end.message) ? numberOf(end) - 1 : numberOf(end); // the next group is no part of this one
            target = nextOf(response);
        }
        return Infinity;
    }));
    const end = Math.min(...found);
    return end === Infinity ? null : end;
}

/** Which lines are hidden, and so at which place of the list the others are. Places count from 0, lines from 1. */
export class Folds {
    #folded = []; // {first, last}: hidden lines, in order, none within another

    get hidden() { return this.#folded.reduce((sum, { first, last }) => sum + last - first + 1, 0); }

    /** Returns whether the group that begins in this line is folded. */
    has(line) { return this.#folded.some(({ first }) => first === line + 1); }

    fold(first, last) {
        this.#folded = [...this.#folded.filter((each) => each.last < first || each.first > last), { first, last }]
            .sort((a, b) => a.first - b.first);
    }

    /** Shows what is folded behind this line. */
    unfold(line) { this.#folded = this.#folded.filter(({ first }) => first !== line + 1); }

    /** Shows this line. */
    reveal(line) { this.#folded = this.#folded.filter(({ first, last }) => line < first || line > last); }

    lineAt(place) {
        return this.#folded.reduce((line, { first, last }) => (line < first ? line : line + last - first + 1), place + 1);
    }

    placeOf(line) {
        return this.#folded.reduce((place, { first, last }) => (line < first ? place : place - (Math.min(line, last) - first + 1)), line - 1);
    }
}

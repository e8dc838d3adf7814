// Search in a log, done by the agent, which returns only the matching lines.
import { nextOf, request, isShowable } from './api.js';
import { el, retext } from './dom.js';
import { numberOf } from './loglines.js';

const pageMatches = 1000;

/**
 * The search field of a log. `where()` returns {stageId, attempt, line}: what to search, and from which line.
 * `found(number, text)` is called with the match to show; number 0 for none.
 */
export class LogSearch {
    #where;
    #found;
    #signal;
    #asked = null; // the AbortController of the running search
    #text = '';
    #numbers = [];
    #more = false;
    #at = -1;

    constructor({ where, found, signal }) {
        this.#where = where;
        this.#found = found;
        this.#signal = signal;
        this.input = el('input', { type: 'search', placeholder: 'Search the log', 'aria-label': 'Search the log',
            title: 'Enter: next, Shift+Enter: previous. Key: /' });
        this.result = el('span', { class: 'count', role: 'status' });
        const button = (label, words, step) => el('button', { type: 'button', class: 'quiet', 'aria-label': label, title: label,
            onclick: () => this.#go(step) }, words);
        this.element = el('div', { class: 'log-search', role: 'search' }, this.input,
            button('Previous match', '↑', -1), button('Next match', '↓', 1), this.result);
        this.input.addEventListener('keydown', (event) => {
            if (event.key === 'Enter')
                this.#go(event.shiftKey ? -1 : 1);
            else if (event.key === 'Escape' && this.input.value)
                this.clear();
        });
        this.input.addEventListener('search', () => this.input.value || this.clear());
    }

    clear() {
        this.#asked?.abort();
        this.input.value = this.#text = '';
        this.#numbers = [];
        this.#at = -1;
        this.result.textContent = '';
        this.#found(0, '');
    }

    async #go(step) {
        const text = this.input.value;
        if (!text)
            return this.clear();
        this.#asked?.abort();
        const asked = this.#asked = new AbortController();
        try {
            if (text !== this.#text)
                await this.#begin(text, step, asked.signal);
            else
                await this.#move(step, asked.signal);
        } catch (error) {
            if (isShowable(error))
                retext(this.result, error.message);
            return;
        }
        const many = this.#more ? `${this.#numbers.length.toLocaleString('en')}+` : this.#numbers.length.toLocaleString('en');
        this.result.textContent = this.#numbers.length > 0 ? `${(this.#at + 1).toLocaleString('en')} of ${many}` : 'No match';
        this.#found(this.#numbers[this.#at] ?? 0, text.toLowerCase());
    }

    async #begin(text, step, signal) {
        this.result.textContent = 'Searching…';
        this.#numbers = [];
        this.#text = '';
        await this.#read(text, signal);
        this.#text = text;
        const { line } = this.#where();
        const next = this.#numbers.findIndex((number) => number >= line);
        this.#at = step > 0 ? Math.max(0, next) : (next < 0 ? this.#numbers.length : next) - 1;
        if (this.#at < 0)
            this.#at = this.#numbers.length - 1;
    }

    async #move(step, signal) {
        const last = this.#at === this.#numbers.length - 1;
        // At the last match, asks for more: the log may have grown.
        if (step > 0 && last)
            await this.#read(this.#text, signal);
        const count = this.#numbers.length;
        if (count > 0)
            this.#at = (this.#at + step + count) % count;
    }

    async #read(text, signal) {
        const { stageId, attempt } = this.#where();
        const query = new URLSearchParams({ stageId, attempt, search: text, limit: pageMatches });
        if (this.#numbers.length > 0)
            query.set('after', `${attempt}.${this.#numbers.at(-1)}`);
        // A search answers after a second with what it has found, and names the place to go on at.
        let target = `/api/logs?${query}`;
        const wanted = this.#numbers.length + pageMatches;
        while (target && this.#numbers.length < wanted) {
            const response = await request('GET', target, { signal: AbortSignal.any([signal, this.#signal]) });
            this.#numbers.push(...(await response.json()).map(numberOf));
            target = nextOf(response);
        }
        this.#more = Boolean(target);
    }
}

// The log of one attempt of a stage, live while it runs.
import { getJson, request, isShowable } from './api.js';
import { lineNodes } from './ansi.js';
import { el, problem, refill } from './dom.js';
import { Folds, endOf, groupOf } from './folds.js';
import { LogLines, numberOf } from './loglines.js';
import { looksLikeError } from './logmarks.js';
import { LogSearch } from './logsearch.js';
import { WindowedList } from './windowed.js';
import { clockWords, countWords } from './words.js';

const rowHeight = 19;
const mostAtOnce = 1000; // lines in one answer

function isLive(stage, attempt) {
    return stage.status === 'IN_PROGRESS' && attempt === stage.attempt && stage.plugin !== 'external';
}

function emptyWords(stage, live) {
    if (stage.plugin === 'external')
        return 'The work of this stage is done outside the agent: there is no log.';
    if (stage.attempt === 0)
        return 'This stage has not run.';
    return live ? 'No output yet.' : 'This stage has no output.';
}

export class LogView {
    #stage;
    #attempt = 0;
    #lines = null;
    #folds = new Folds();
    #stop = null;
    #closed = new AbortController();
    #following = false;
    #times = false;
    #marked = 0; // the line in the address
    #match = 0;
    #wanted = '';
    #address = null;
    #live = false;

    constructor(root, stage, { signal }) {
        this.#stage = stage;
        this.signal = AbortSignal.any([signal, this.#closed.signal]);
        this.search = new LogSearch({
            where: () => ({ stageId: this.#stage.id, attempt: this.#attempt, line: this.#folds.lineAt(Math.floor(this.list.first)) }),
            found: (number, text) => this.#showMatch(number, text), signal: this.signal,
        });
        this.followButton = el('button', { type: 'button', class: 'toggle', 'aria-pressed': 'false', onclick: () => this.#follow(!this.#following) }, 'Follow');
        this.timesButton = el('button', { type: 'button', class: 'toggle', 'aria-pressed': 'false', onclick: () => this.#toggleTimes() }, 'Times');
        this.lineInput = el('input', { type: 'text', inputmode: 'numeric', class: 'line-input', placeholder: 'Line', 'aria-label': 'Go to line',
            title: 'Go to a line; the address then refers to it',
            onkeydown: (event) => event.key === 'Enter' && this.#goTo(Number(this.lineInput.value)) });
        this.attempts = el('select', { 'aria-label': 'Attempt', hidden: true, onchange: () => this.#open(Number(this.attempts.value)) });
        this.saveButton = el('button', { type: 'button', class: 'quiet', onclick: () => this.#save() }, 'Save');
        this.count = el('span', { class: 'count' });
        this.notice = el('div', {});
        this.scroller = el('div', { class: 'scroller lines', tabindex: 0, role: 'region', 'aria-label': 'Log lines' });
        refill(root,
            el('div', { class: 'toolbar' }, this.search.element, this.lineInput, this.attempts, this.followButton, this.timesButton, this.saveButton, this.count),
            this.notice, this.scroller);
        this.list = new WindowedList({
            scroller: this.scroller, rowHeight,
            row: (index, element) => this.#row(this.#folds.lineAt(index), element),
            inSight: (first, last) => this.#lines?.total > 0 &&
                this.#lines.need(Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => this.#folds.lineAt(first + i))),
            resized: () => this.#following && this.list.toEnd(),
            scrolled: () => this.#following && !this.list.atEnd() && this.#setFollowing(false),
        });
        this.scroller.addEventListener('keydown', (event) => {
            if (event.key !== 'Home' && event.key !== 'End')
                return;
            event.preventDefault();
            if (event.key === 'Home')
                this.#setFollowing(false);
            event.key === 'Home' ? this.list.scrollTo(0) : this.list.toEnd();
        });
    }

    close() { this.#closed.abort(); }

    /** Updates the view; `address` is `ATTEMPT.LINE` or empty. */
    update(stage, address) {
        const newer = stage.attempt > this.#stage.attempt && this.#attempt === this.#stage.attempt;
        this.#stage = stage;
        this.#drawAttempts();
        if (address && address !== this.#address) {
            this.#address = address;
            const [attempt, line] = address.split('.').map(Number);
            this.#marked = line || 0;
            if (attempt >= 1 && attempt <= stage.attempt && attempt !== this.#attempt)
                return this.#open(attempt);
            this.#showMarked();
        }
        if (newer)
            this.#marked = 0; // it belongs to the previous attempt
        if (this.#attempt === 0 || newer)
            this.#open(Math.max(1, stage.attempt));
        else if (this.#live && !isLive(stage, this.#attempt)) {
            this.#live = false;
            this.#lines.finish().then(() => this.#grown());
        }
    }

    #drawAttempts() {
        const count = this.#stage.attempt;
        this.attempts.hidden = count < 2;
        if (this.attempts.length !== count)
            refill(this.attempts, ...Array.from({ length: count }, (_, i) => el('option', { value: i + 1 }, `Attempt ${i + 1}`)));
        this.attempts.value = String(this.#attempt);
    }

    async #open(attempt) {
        this.#stop?.abort();
        this.#stop = new AbortController();
        const signal = AbortSignal.any([this.signal, this.#stop.signal]);
        this.#attempt = attempt;
        this.#drawAttempts();
        this.#lines = null;
        this.#folds = new Folds();
        this.list.resize(0);
        this.#live = isLive(this.#stage, attempt);
        if (this.#stage.attempt === 0) {
            this.#attempt = 0; // reopened when it has started
            this.#live = false;
            this.#grown();
            return;
        }
        const lines = this.#lines = new LogLines(this.#stage.id, attempt, signal);
        lines.addEventListener('grown', () => this.#grown());
        lines.addEventListener('read', () => { this.list.refresh(); this.#tell(); });
        this.#setFollowing(this.#live && !this.#marked);
        try {
            await lines.open(this.#live);
        } catch (error) {
            if (isShowable(error))
                refill(this.notice, problem(error));
            return;
        }
        if (this.#marked)
            this.#showMarked();
        else if (this.#stage.status === 'FAILURE') {
            this.list.toEnd();
            this.#toFirstError(lines);
        }
    }

    /** Goes to the first line of the log's end that looks like an error. */
    async #toFirstError(lines) {
        const from = Math.max(0, lines.total - 2 * mostAtOnce);
        try {
            for (let after = from; after < lines.total; after += mostAtOnce) {
                const part = await getJson(`/api/logs?stageId=${this.#stage.id}&attempt=${this.#attempt}&after=${this.#attempt}.${after}&limit=${mostAtOnce}`, { signal: this.signal });
                const error = part.find((line) => looksLikeError(line.message));
                if (lines !== this.#lines || this.#marked)
                    return;
                if (error) {
                    this.#showMatch(numberOf(error), '');
                    return;
                }
            }
        } catch (error) {
            isShowable(error); // it stays at the end
        }
    }

    #grown() {
        const total = this.#lines?.total ?? 0;
        this.scroller.hidden = total === 0; // a hidden list can't be scrolled
        this.list.resize(total - this.#folds.hidden);
        if (this.#following)
            this.list.toEnd();
        this.#tell();
    }

    #tell() {
        const total = this.#lines?.total ?? 0;
        this.count.textContent = total > 0 ? countWords(total, 'line', 'lines') : '';
        this.followButton.disabled = !this.#live;
        if (!this.#live)
            this.#setFollowing(false);
        if (this.#lines?.failed)
            refill(this.notice, problem(this.#lines.failed));
        else
            refill(this.notice, ...(total === 0 ? [el('p', { class: 'empty' }, emptyWords(this.#stage, this.#live))] : []));
    }

    #row(number, element) {
        const row = element ?? el('div', {});
        const line = this.#lines.line(number);
        const drawn = [this.#attempt, number, line?.id, this.#times, this.#wanted, number === this.#marked, number === this.#match, this.#folds.has(number)].join();
        if (row.dataset.drawn === drawn)
            return row;
        row.dataset.drawn = drawn;
        const fault = line && line.type !== 'stderr' && looksLikeError(line.message);
        row.className = ['line', line?.type, fault && 'fault', number === this.#marked && 'marked', number === this.#match && 'match'].filter(Boolean).join(' ');
        const group = line && groupOf(line.message);
        const link = el('a', { class: 'number', tabindex: -1, href: this.#addressOf(number), 'aria-label': `Line ${number}` }, String(number));
        refill(row, link,
            ...(this.#times ? [el('span', { class: 'clock', title: line?.timestamp }, line ? clockWords(line.timestamp) : '')] : []),
            el('span', { class: 'stream' }, line?.type === 'stderr' || fault ? el('abbr', { title: fault ? 'Looks like an error' : 'stderr' }, 'E') : ''),
            group && el('button', { type: 'button', class: 'fold', 'aria-expanded': String(!this.#folds.has(number)), 'aria-label': `Group ${group.title}`,
                onclick: () => this.#toggleGroup(number, group) }),
            el('span', { class: group ? 'text bold' : 'text' }, ...(line ? lineNodes(group ? group.title : line.message, this.#wanted) : ['…'])));
        return row;
    }

    /** Folds the group that begins in this line, or shows it again. */
    async #toggleGroup(number, group) {
        const lines = this.#lines;
        this.#setFollowing(false);
        if (this.#folds.has(number))
            this.#folds.unfold(number);
        else {
            try {
                const last = await endOf(group, { stageId: this.#stage.id, attempt: this.#attempt, number, signal: this.signal }) ?? lines.total;
                if (lines !== this.#lines || last <= number)
                    return;
                this.#folds.fold(number + 1, Math.min(last, lines.total));
            } catch (error) {
                if (isShowable(error))
                    refill(this.notice, problem(error));
                return;
            }
        }
        this.list.resize(lines.total - this.#folds.hidden);
        this.list.refresh();
        this.list.elementOf(this.#folds.placeOf(number))?.querySelector('.fold')?.focus({ preventScroll: true });
    }

    #reveal(number) {
        this.#folds.reveal(number);
        this.list.resize((this.#lines?.total ?? 0) - this.#folds.hidden);
    }

    #addressOf(number) {
        return `#/runs/${this.#stage.runId}/${this.#stage.id}/${this.#attempt}.${number}`;
    }

    #goTo(number) {
        if (this.#lines && number >= 1 && number <= this.#lines.total)
            location.hash = this.#addressOf(Math.floor(number));
    }

    #showMarked() {
        if (!this.#lines || this.#marked < 1)
            return;
        this.#setFollowing(false);
        this.#reveal(this.#marked);
        this.list.scrollTo(this.#folds.placeOf(this.#marked), 0.3);
        this.list.refresh();
    }

    #showMatch(number, text) {
        this.#match = number;
        this.#wanted = text;
        if (number > 0) {
            this.#setFollowing(false);
            // The stream has not delivered it yet.
            this.#reveal(number);
            const place = this.#folds.placeOf(number);
            if (place >= this.list.count)
                this.list.resize(place + 1);
            this.list.scrollTo(place, 0.3);
        }
        this.list.refresh();
    }

    #follow(on) {
        this.#setFollowing(on);
        if (on)
            this.list.toEnd();
    }

    #setFollowing(on) {
        this.#following = on;
        this.followButton.setAttribute('aria-pressed', String(on));
    }

    #toggleTimes() {
        this.#times = !this.#times;
        this.timesButton.setAttribute('aria-pressed', String(this.#times));
        this.list.refresh();
    }

    /** Saves the log as a file; a plain link would not send the token. */
    async #save() {
        try {
            const response = await request('GET', `/api/stages/${this.#stage.id}/log?attempt=${Math.max(1, this.#attempt)}`, { signal: this.signal });
            const url = URL.createObjectURL(await response.blob());
            el('a', { href: url, download: `${this.#stage.type.toLowerCase()}-${this.#stage.id.slice(0, 8)}.log` }).click();
            setTimeout(() => URL.revokeObjectURL(url), 60_000);
        } catch (error) {
            if (isShowable(error))
                refill(this.notice, problem(error));
        }
    }
}

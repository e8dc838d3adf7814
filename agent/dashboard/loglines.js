// The lines of one attempt's log: visible ones are read on demand, new ones come from the event stream.
import { getJson, request, isShowable } from './api.js';
import { readEvents } from './events.js';

const pageLines = 500;
const mostPages = 40;
// A stage that prints faster than one can read is polled.
const torrentLines = 4000;
const lookMs = 500;
const retryMs = 2000;

function pause(ms, signal) {
    return new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
    });
}

export function numberOf(line) {
    return Number(line.id.split('.')[1]);
}

/** Dispatches `grown` when `total` changed, `read` when requested lines have arrived. */
export class LogLines extends EventTarget {
    total = 0;
    failed = null; // the error of the last read
    #stageId;
    #attempt;
    #signal;
    #pages = new Map(); // page number → its lines without a gap; least recently used first
    #asked = new Map();
    #following = null;

    constructor(stageId, attempt, signal) {
        super();
        this.#stageId = stageId;
        this.#attempt = attempt;
        this.#signal = signal;
    }

    get #query() { return `stageId=${this.#stageId}&attempt=${this.#attempt}`; }

    /** `live`: the attempt is running. Errors: ApiError. */
    async open(live) {
        await this.#look(live);
        if (live) {
            this.#following = new AbortController();
            this.#follow(AbortSignal.any([this.#signal, this.#following.signal]));
        }
    }

    /** Called when the attempt has ended. */
    async finish() {
        if (!this.#following)
            return;
        this.#following.abort();
        this.#following = null;
        try {
            await this.#look(false);
        } catch (error) {
            this.failed = error;
        }
    }

    async #look(live) {
        const response = await request('GET', `/api/logs?${this.#query}&limit=1`, { signal: this.#signal });
        await response.arrayBuffer();
        const count = Number(response.headers.get('Line-Count'));
        // The last line may be incomplete; it comes with the stream.
        this.#grow(live ? Math.max(this.total, count - 1) : count);
    }

    #grow(total) {
        this.total = total;
        this.dispatchEvent(new Event('grown'));
    }

    /** Returns a line; undefined if not (yet) read. */
    line(number) {
        return this.#pages.get(Math.floor((number - 1) / pageLines))?.[(number - 1) % pageLines];
    }

    /** Reads the missing ones of these lines; cancels other reads. */
    need(numbers) {
        const pages = new Set(numbers.map((number) => Math.floor((Math.max(1, number) - 1) / pageLines)));
        for (const [page, asked] of this.#asked)
            if (![page - 1, page, page + 1].some((near) => pages.has(near)))
                asked.abort();
        for (const page of pages) {
            const wanted = Math.min(pageLines, this.total - page * pageLines);
            if ((this.#pages.get(page)?.length ?? 0) < wanted && !this.#asked.has(page))
                this.#read(page);
        }
    }

    async #read(page) {
        const asked = new AbortController();
        this.#asked.set(page, asked);
        try {
            const lines = await getJson(`/api/logs?${this.#query}&after=${this.#attempt}.${page * pageLines}&limit=${pageLines}`,
                { signal: AbortSignal.any([this.#signal, asked.signal]) });
            this.#keep(page, lines);
            this.failed = null;
        } catch (error) {
            if (isShowable(error))
                this.failed = error;
        } finally {
            this.#asked.delete(page);
        }
        if (!asked.signal.aborted && !this.#signal.aborted)
            this.dispatchEvent(new Event('read'));
    }

    #keep(page, lines) {
        this.#pages.delete(page);
        this.#pages.set(page, lines);
        if (this.#pages.size > mostPages)
            this.#pages.delete(this.#pages.keys().next().value);
    }

    #take(line) {
        const number = numberOf(line);
        const page = Math.floor((number - 1) / pageLines);
        const at = (number - 1) % pageLines;
        const lines = this.#pages.get(page);
        if (lines && lines.length === at)
            lines.push(line);
        else if (!lines && at === 0)
            this.#keep(page, [line]);
        this.total = Math.max(this.total, number);
    }

    async #follow(signal) {
        while (!signal.aborted) {
            const torrent = new AbortController();
            let begun = Date.now();
            let taken = 0;
            try {
                await readEvents(`/api/events?stageId=${this.#stageId}&logs=1&after=${this.#attempt}.${this.total}`, {
                    signal: AbortSignal.any([signal, torrent.signal]),
                    opened: () => {},
                    take: (events) => {
                        const lines = events.filter((event) => event.type === 'log').map((event) => JSON.parse(event.data))
                            .filter((line) => line.id.startsWith(`${this.#attempt}.`));
                        if (Date.now() - begun > lookMs) {
                            begun = Date.now();
                            taken = 0;
                        }
                        taken += lines.length;
                        lines.forEach((line) => this.#take(line));
                        if (lines.length > 0)
                            this.dispatchEvent(new Event('grown'));
                        if (taken > torrentLines)
                            torrent.abort();
                    },
                });
            } catch {
                // Lost, or too fast: resumes from the current end.
            }
            await pause(torrent.signal.aborted ? lookMs : retryMs, signal);
            if (signal.aborted)
                return;
            await this.#look(true).catch(() => {});
        }
    }
}

// The lines of one attempt's log: those in sight are read, those that come are taken as they come.
import { getJson, request, tellable } from '/dashboard/api.js';
import { readEvents } from '/dashboard/events.js';

const pageLines = 500;
const mostPages = 40;
// A stage that prints faster than anybody reads is looked at now and then.
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

/** Says `grown` when `total` changed, `read` when lines that were asked for are there. */
export class LogLines extends EventTarget {
    total = 0;
    failed = null; // what went wrong with the last reading
    #stageId;
    #attempt;
    #signal;
    #pages = new Map(); // number of the page → its lines without a gap; the oldest use first
    #asked = new Map();
    #following = null;

    constructor(stageId, attempt, signal) {
        super();
        this.#stageId = stageId;
        this.#attempt = attempt;
        this.#signal = signal;
    }

    get #query() { return `stageId=${this.#stageId}&attempt=${this.#attempt}`; }

    /** `live`: lines are still added. Errors: ApiError. */
    async open(live) {
        await this.#look(live);
        if (live) {
            this.#following = new AbortController();
            this.#follow(AbortSignal.any([this.#signal, this.#following.signal]));
        }
    }

    /** No line will be added any more. */
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
        // The last line may not be whole yet; it comes with the stream.
        this.#grow(live ? Math.max(this.total, count - 1) : count);
    }

    #grow(total) {
        this.total = total;
        this.dispatchEvent(new Event('grown'));
    }

    /** Shape: undefined when it is not there (yet). */
    line(number) {
        return this.#pages.get(Math.floor((number - 1) / pageLines))?.[(number - 1) % pageLines];
    }

    /** Reads what is missing of these lines; what was asked for elsewhere is no longer wanted. */
    need(first, last) {
        const from = Math.floor((Math.max(1, first) - 1) / pageLines);
        const to = Math.floor((Math.max(1, last) - 1) / pageLines);
        for (const [page, asked] of this.#asked)
            if (page < from - 1 || page > to + 1)
                asked.abort();
        for (let page = from; page <= to; ++page) {
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
            if (tellable(error))
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
                // Lost, or too much: in both cases it goes on from how things stand then.
            }
            await pause(torrent.signal.aborted ? lookMs : retryMs, signal);
            if (signal.aborted)
                return;
            await this.#look(true).catch(() => {});
        }
    }
}

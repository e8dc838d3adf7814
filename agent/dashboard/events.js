// Server-Sent Events, read with fetch: an EventSource can't send a token.
import { request } from './api.js';

// The agent's heartbeat is much more frequent.
const silenceMs = 60_000;
const firstDelayMs = 1000;
const lastDelayMs = 10_000;
// A hidden tab closes its connection: a browser has only six per host.
const hiddenMs = 30_000;

/** Parses one event of the stream. */
function parse(block) {
    const event = { id: undefined, type: 'message', data: '' };
    for (const line of block.split('\n')) {
        if (line.startsWith('data: '))
            event.data += (event.data && '\n') + line.slice(6);
        else if (line.startsWith('id: '))
            event.id = line.slice(4);
        else if (line.startsWith('event: '))
            event.type = line.slice(7);
    }
    return event;
}

/** Calls `take` with lists of events as they arrive, until the stream ends or breaks. */
export async function readEvents(path, { headers, signal, opened, take }) {
    const watchdog = new AbortController();
    const both = AbortSignal.any([signal, watchdog.signal]);
    let timer;
    const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => watchdog.abort(), silenceMs);
    };
    try {
        alive();
        const response = await request('GET', path, { headers, signal: both });
        opened();
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = '';
        for (;;) {
            const { done, value } = await reader.read();
            if (done)
                return;
            alive();
            const blocks = (rest + value).split('\n\n');
            rest = blocks.pop();
            await take(blocks.map(parse));
        }
    } finally {
        clearTimeout(timer);
    }
}

/**
 * The agent's events. Dispatches `run`, `stage` and `deleted` with `detail`, `open` when the stream (re)opened,
 * and `state` when `state` changed: connecting, live, lost, paused, or closed to this token, until start(). Resumes
 * after a loss (Last-Event-ID).
 */
export class EventStream extends EventTarget {
    state = 'connecting';
    retryAt = 0;
    #lastId = '';
    #delay = firstDelayMs;
    #stop = null;
    #timer = 0;

    constructor() {
        super();
        document.addEventListener('visibilitychange', () => {
            clearTimeout(this.#timer);
            if (!document.hidden)
                this.#stop ?? this.start();
            else
                this.#timer = setTimeout(() => this.#pause(), hiddenMs);
        });
        window.addEventListener('online', () => this.start());
    }

    /** Connects now, dropping the current connection. */
    start() {
        this.#stop?.abort();
        this.#stop = new AbortController();
        this.#run(this.#stop.signal);
    }

    #pause() {
        this.#stop?.abort();
        this.#stop = null;
        this.#become('paused');
    }

    #become(state) {
        this.state = state;
        this.dispatchEvent(new Event('state'));
    }

    async #run(signal) {
        while (!signal.aborted) {
            const headers = this.#lastId ? { 'Last-Event-ID': this.#lastId } : {};
            try {
                await readEvents('/api/events', {
                    headers, signal,
                    opened: () => {
                        this.#delay = firstDelayMs;
                        this.#become('live');
                        this.dispatchEvent(new Event('open'));
                    },
                    take: (events) => events.forEach((event) => this.#dispatch(event)),
                });
            } catch (error) {
                if (error.status === 401 && !signal.aborted)
                    return this.#become('closed');
                // Others are retried below.
            }
            if (signal.aborted)
                return;
            this.retryAt = Date.now() + this.#delay;
            this.#become('lost');
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, this.#delay);
                signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
            });
            this.#delay = Math.min(2 * this.#delay, lastDelayMs);
        }
    }

    #dispatch({ id, type, data }) {
        this.#lastId = id ?? this.#lastId;
        if (data)
            this.dispatchEvent(new CustomEvent(type, { detail: JSON.parse(data) }));
    }
}

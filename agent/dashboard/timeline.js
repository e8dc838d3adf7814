// The stages of a run as rows with bars to scale.
import { el, picture, refill, retext } from './dom.js';
import { causeWords, durationWords, stageLook, stageName, stageWords, timeWords, took } from './words.js';

const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500]
    .concat([1, 2, 5, 10, 15, 30].map((s) => s * 1000))
    .concat([1, 2, 5, 10, 15, 30].map((m) => m * 60_000))
    .concat([1, 2, 4, 8, 12, 24].map((h) => h * 3600_000));

/** Returns positions of at most five ticks at round values. */
function ticksOf(span) {
    const step = steps.find((each) => span / each <= 5) ?? span / 4;
    const ticks = [];
    for (let at = 0; at <= span; at += step)
        ticks.push(at);
    return ticks;
}

function tickWords(ms) {
    return ms === 0 ? '0' : durationWords(ms).replace(/\.0 s$/, ' s').replace(/ 00 [sm]$/, '');
}

/** Returns the time span of the bars. */
function spanOf(stages, now) {
    const starts = stages.filter((stage) => stage.startedAt).map((stage) => Date.parse(stage.startedAt));
    if (starts.length === 0)
        return null;
    const begin = Math.min(...starts);
    const ends = stages.filter((stage) => stage.startedAt).map((stage) => (stage.endedAt ? Date.parse(stage.endedAt) : now));
    return { begin, length: Math.max(1, Math.max(...ends) - begin) };
}

/** A stage's row, created once and updated in place, which keeps a click in progress. */
class Row {
    #drawn = '';

    constructor() {
        this.name = el('span', { class: 'name' });
        this.status = el('span', {});
        this.bar = el('span', { class: 'bar' });
        this.took = el('span', { class: 'took' });
        this.why = el('span', { class: 'why' });
        this.link = el('a', {}, this.name, this.status, el('span', { class: 'lane' }, this.bar), this.took, this.why);
        this.element = el('li', {}, this.link);
    }

    draw(stage, { span, selected, now, ended }) {
        if (stage.id === selected)
            this.link.setAttribute('aria-current', 'true');
        else
            this.link.removeAttribute('aria-current');
        retext(this.took, took(stage, now));
        this.bar.hidden = !stage.startedAt;
        if (stage.startedAt) {
            const begin = Date.parse(stage.startedAt);
            const end = stage.endedAt ? Date.parse(stage.endedAt) : now;
            this.bar.style.left = `${100 * (begin - span.begin) / span.length}%`;
            this.bar.style.width = `${100 * (end - begin) / span.length}%`;
        }
        const drawn = `${stage.id} ${stage.version} ${stage.stuckSince} ${ended}`;
        if (drawn === this.#drawn)
            return;
        this.#drawn = drawn;
        this.link.href = `#/runs/${stage.runId}/${stage.id}`;
        this.bar.className = `bar ${stage.status}`;
        this.bar.title = stage.startedAt ? `${timeWords(stage.startedAt)} – ${stage.endedAt ? timeWords(stage.endedAt) : 'now'}` : '';
        this.status.className = `status ${stageLook(stage)}`;
        refill(this.status, picture(stageLook(stage)), stageWords(stage, ended));
        retext(this.name, stageName(stage));
        this.name.title = stageName(stage);
        const why = [causeWords(stage), stage.attempt > 1 && `attempt ${stage.attempt}`].filter(Boolean).join(' · ');
        refill(this.why, stage.stuckSince && el('b', { class: 'stuck' }, `stuck since ${timeWords(stage.stuckSince)}`),
            stage.stuckWhy && `: ${stage.stuckWhy}`,
            stage.stuckSince && why && ' · ', why);
    }
}

export class Timeline {
    #rows = new Map();
    #axis = el('div', { class: 'scale' });
    #list = el('ol', { 'aria-label': 'Stages in order' });
    #ticks = '';

    constructor(root) {
        root.append(el('div', { class: 'axis', 'aria-hidden': 'true' }, this.#axis), this.#list);
    }

    /** Draws a row per stage, each a link to the stage; `ended`: the run has. */
    draw(stages, selected, ended) {
        const now = Date.now();
        const span = spanOf(stages, now);
        this.#drawAxis(span);
        const rows = new Map(stages.map((stage) => [stage.id, this.#rows.get(stage.id) ?? new Row()]));
        if ([...rows.keys()].join() !== [...this.#rows.keys()].join())
            refill(this.#list, [...rows.values()].map((row) => row.element));
        this.#rows = rows;
        for (const stage of stages)
            rows.get(stage.id).draw(stage, { span, selected, now, ended });
    }

    #drawAxis(span) {
        const ticks = span ? ticksOf(span.length) : [];
        if (ticks.join() !== this.#ticks)
            refill(this.#axis, ticks.map((at) => el('span', { class: 'tick' }, tickWords(at))));
        this.#ticks = ticks.join();
        ticks.forEach((at, i) => { this.#axis.children[i].style.left = `${100 * at / span.length}%`; });
    }
}

// The stages of a run as rows with bars to scale.
import { el, picture, refill, retext } from './dom.js';
import { causeWords, countWords, durationWords, stageLook, stageName, stageWords, timeWords, took } from './words.js';

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
function spanOf(stages, now, { usual, attempts }) {
    const begun = stages.filter((stage) => stage.startedAt);
    const earlier = [...attempts.values()].flat();
    const starts = [...begun.map((stage) => Date.parse(stage.startedAt)), ...earlier.map((each) => each.begin)];
    if (starts.length === 0)
        return null;
    const begin = Math.min(...starts);
    // A running stage has room up to its usual end.
    const ends = [...earlier.map((each) => each.end), ...begun.map((stage) => (stage.endedAt ? Date.parse(stage.endedAt)
        : Math.max(now, Date.parse(stage.startedAt) + (usual.get(stage.name) ?? 0))))];
    return { begin, length: Math.max(1, Math.max(...ends) - begin) };
}

function place(bar, begin, end, span) {
    bar.style.left = `${100 * (begin - span.begin) / span.length}%`;
    bar.style.width = `${100 * (end - begin) / span.length}%`;
}

/** A stage's row, created once and updated in place, which keeps a click in progress. */
class Row {
    #drawn = '';

    constructor() {
        this.name = el('span', { class: 'name' });
        this.status = el('span', {});
        this.bar = el('span', { class: 'bar' });
        this.usual = el('span', { class: 'usual', hidden: true });
        this.earlier = el('span', {});
        this.eta = el('span', {});
        this.took = el('span', { class: 'took' });
        this.why = el('span', { class: 'why' });
        this.link = el('a', {}, this.name, this.status, el('span', { class: 'lane' }, this.earlier, this.bar, this.usual), this.took, this.why);
        this.element = el('li', {}, this.link);
    }

    draw(stage, { span, selected, now, ended, usual, attempts }) {
        if (stage.id === selected)
            this.link.setAttribute('aria-current', 'true');
        else
            this.link.removeAttribute('aria-current');
        retext(this.took, took(stage, now));
        this.bar.hidden = !stage.startedAt;
        if (stage.startedAt) {
            const begin = Date.parse(stage.startedAt);
            const end = stage.endedAt ? Date.parse(stage.endedAt) : now;
            place(this.bar, begin, end, span);
        }
        this.#drawUsual(stage, span, now, usual);
        [...this.earlier.children].forEach((bar, i) => attempts[i] && place(bar, attempts[i].begin, attempts[i].end, span));
        const drawn = `${stage.id} ${stage.version} ${stage.stuckSince} ${ended} ${usual} ${attempts.length}`;
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
            stage.stuckSince && why && ' · ', why, usual && stage.status === 'IN_PROGRESS' && this.eta);
        refill(this.earlier, attempts.map((each) => {
            const bar = el('span', { class: `earlier ${each.status}`,
                title: `Attempt ${each.attempt}: ${durationWords(each.end - each.begin)}, ${each.status === 'SUCCESS' ? 'success' : 'failed'}` });
            place(bar, each.begin, each.end, span);
            return bar;
        }));
    }

    /** Marks where the stage usually ends, and says of a running one when that is. */
    #drawUsual(stage, span, now, usual) {
        const begin = Date.parse(stage.startedAt);
        this.usual.hidden = !usual || !stage.startedAt || begin + usual > span.begin + span.length;
        if (!this.usual.hidden) {
            this.usual.style.left = `${100 * (begin + usual - span.begin) / span.length}%`;
            this.usual.title = `Usually takes ${durationWords(usual)}`;
        }
        const left = begin + usual - now;
        const running = usual && stage.startedAt && stage.status === 'IN_PROGRESS';
        retext(this.eta, !running ? '' : `${this.why.firstChild === this.eta ? '' : ' · '}${left > 0
            ? `about ${durationWords(Math.ceil(left / 1000) * 1000)} left` : `over its usual ${durationWords(usual)}`}`);
    }
}

export class Timeline {
    #rows = new Map();
    #axis = el('div', { class: 'scale' });
    #list = el('ol', { 'aria-label': 'Stages in order' });
    #ticks = '';
    // On small screens only the shown stage has a row, until this is pressed.
    #all = el('button', { type: 'button', class: 'all-stages quiet', 'aria-expanded': 'false', onclick: () => this.#showAll() });
    #root;

    constructor(root) {
        this.#root = root;
        root.append(this.#all, el('div', { class: 'axis', 'aria-hidden': 'true' }, this.#axis), this.#list);
    }

    /**
     * Draws a row per stage, each a link to the stage. `ended`: the run has; `usual`: times by the stage's name;
     * `attempts`: earlier ones by the stage's id.
     */
    draw(stages, selected, { ended, usual, attempts }) {
        const now = Date.now();
        const span = spanOf(stages, now, { usual, attempts });
        this.#drawAxis(span);
        retext(this.#all, countWords(stages.length, 'stage', 'stages'));
        this.#all.hidden = stages.length < 2;
        const rows = new Map(stages.map((stage) => [stage.id, this.#rows.get(stage.id) ?? new Row()]));
        if ([...rows.keys()].join() !== [...this.#rows.keys()].join())
            refill(this.#list, [...rows.values()].map((row) => row.element));
        this.#rows = rows;
        for (const stage of stages)
            rows.get(stage.id).draw(stage, { span, selected, now, ended, usual: usual.get(stage.name), attempts: attempts.get(stage.id) ?? [] });
    }

    #showAll() {
        const all = this.#root.classList.toggle('whole');
        this.#all.setAttribute('aria-expanded', String(all));
    }

    #drawAxis(span) {
        const ticks = span ? ticksOf(span.length) : [];
        if (ticks.join() !== this.#ticks)
            refill(this.#axis, ticks.map((at) => el('span', { class: 'tick' }, tickWords(at))));
        this.#ticks = ticks.join();
        ticks.forEach((at, i) => { this.#axis.children[i].style.left = `${100 * at / span.length}%`; });
    }
}

// The list of runs, newest first, with filters and search.
import { getJson, request, servicesById, isShowable } from './api.js';
import { el, picture, problem, refill, retext } from './dom.js';
import { WindowedList } from './windowed.js';
import { stageName, countWords, labelWords, runWords, shortId, stageLook, stageOf, stageWords, statusWords, testsWords, timeWords, triggerWords, waitsWords, worked, workedMs } from './words.js';

// Small, for a fast first screen.
const firstPage = 100;
const nextPage = 1000;
// A search covers only the newest runs, and the count says so.
const mostSearched = 20_000;

const narrow = matchMedia('(max-width: 720px)');

/** The runs read so far, updated by events. */
class Runs {
    all = [];
    more = true; // there are older runs
    #filter;
    #byId = new Map();
    #reading = null;

    constructor(filter) { this.#filter = filter; }

    /** Reads the next page, one at a time; resolves when it has arrived. */
    readOn(signal) {
        this.#reading ??= this.#read(signal).finally(() => { this.#reading = null; });
        return this.#reading;
    }

    async #read(signal) {
        const query = new URLSearchParams(this.#filter);
        query.set('view', 'detail');
        query.set('limit', this.all.length === 0 ? firstPage : nextPage);
        if (this.all.length > 0)
            query.set('before', this.all.at(-1).id);
        const response = await request('GET', `/api/runs?${query}`, { signal });
        for (const run of await response.json())
            if (!this.#byId.has(run.id)) {
                this.#byId.set(run.id, run);
                this.all.push(run);
            }
        this.more = response.headers.has('Link');
    }

    #wants(run) {
        return (!this.#filter.status || run.status === this.#filter.status) &&
            (!this.#filter.serviceId || run.serviceId === this.#filter.serviceId);
    }

    take(run) {
        const known = this.#byId.get(run.id);
        if (!this.#wants(run))
            this.remove(run.id);
        else if (known)
            Object.assign(known, run); // an event has no stages: those that were read stay
        else {
            const at = this.all.findIndex((other) => other.createdAt <= run.createdAt);
            if (at < 0 && this.more)
                return; // older than the runs read so far
            this.all.splice(at < 0 ? this.all.length : at, 0, run);
            this.#byId.set(run.id, run);
        }
    }

    /** Takes a change of a stage of a run that is known. */
    takeStage({ id, runId, status, cause, startedAt, endedAt, stuckSince, skipped }) {
        const run = this.#byId.get(runId);
        const stage = run?.stages?.find((each) => each.id === id);
        if (stage) {
            if (stage.endedAt && !endedAt) // one more attempt
                stage.earlierMs = workedMs([stage]);
            Object.assign(stage, { status, cause, startedAt, endedAt, skipped });
        }
        if (run?.currentStage?.id === id)
            run.currentStage.stuckSince = stuckSince ?? null;
        return Boolean(stage);
    }

    /** Adds the stages of runs that events brought. */
    async readStages(signal) {
        const lacking = this.all.filter((run) => !run.stages).slice(0, 8);
        await Promise.all(lacking.map(async (run) => {
            run.stages = await getJson(`/api/stages?runId=${run.id}&view=detail`, { signal });
        }));
        return lacking.length > 0;
    }

    remove(id) {
        if (this.#byId.delete(id))
            this.all = this.all.filter((run) => run.id !== id);
    }
}

/** Returns a mark per stage; the words are those of the stage that counts, which stand beside it. */
function pips(run) {
    const ended = run.endedAt !== null;
    return (run.stages ?? []).map((stage) =>
        el('i', { class: `pip ${stageLook(stage)}`, title: `${stageName(stage)}: ${stageWords(stage, ended)}` }));
}

function holds(run, service, wanted) {
    return [run.id, run.commitHash, run.commitMessage, run.committer, run.branch, service, labelWords(run)]
        .some((text) => text && text.toLowerCase().includes(wanted));
}

export function mountRuns(main, parameters, { stream, signal }) {
    let runs = null;
    let shown = [];
    let services = new Map();
    let active = 0;

    const search = el('input', { type: 'search', placeholder: 'Search runs', 'aria-label': 'Search runs',
        title: 'Id, branch, commit, message, committer, label or service. Key: /', value: parameters.search ?? '' });
    const status = el('select', { 'aria-label': 'Status' }, el('option', { value: '' }, 'Any status'),
        Object.entries(statusWords).map(([value, words]) => el('option', { value }, words)));
    status.value = parameters.status ?? '';
    const service = el('select', { 'aria-label': 'Service' }, el('option', { value: '' }, 'Any service'));
    const count = el('span', { class: 'count', role: 'status' });
    const body = el('div', { role: 'list', 'aria-label': 'Runs' });
    const scroller = el('div', { class: 'scroller' });
    const heads = el('div', { class: 'heads', 'aria-hidden': 'true' },
        ['Status', 'Service', 'Branch', 'Stages', 'Commit', 'Started', 'Took', 'Run'].map((head) => el('span', {}, head)));
    const notice = el('div', {});
    main.append(
        el('h1', { class: 'unseen' }, 'Runs'),
        el('div', { class: 'toolbar', role: 'search' }, search, status, service, count),
        heads, notice, scroller);

    function serviceOf(run) {
        return run.serviceId ? services.get(run.serviceId)?.name ?? shortId(run.serviceId) : 'inline pipeline';
    }

    const list = new WindowedList({
        scroller, body, rowHeight: narrow.matches ? 62 : 34,
        row(index, element) {
            const run = shown[index];
            const item = element ?? el('div', { role: 'listitem', class: 'row' }, el('a', {}));
            const link = item.firstChild;
            link.tabIndex = index === active ? 0 : -1;
            link.dataset.index = index;
            item.setAttribute('aria-posinset', index + 1);
            item.setAttribute('aria-setsize', runs.more ? -1 : shown.length);
            const stage = stageOf(run);
            const drawn = `${run.id} ${run.updatedAt} ${serviceOf(run)} ${waitsWords(run)} ${stage?.id} ${stage?.stuckSince} ${
                (run.stages ?? []).map((each) => each.status)}`;
            if (item.dataset.drawn === drawn) {
                retext(item.querySelector('.took'), worked(run, Date.now()));
                return item;
            }
            item.dataset.drawn = drawn;
            link.href = `#/runs/${run.id}`;
            refill(link,
                el('span', { class: `status ${run.status}` }, picture(run.status), runWords(run)),
                el('span', { class: 'service' }, serviceOf(run)),
                el('span', { class: 'branch', title: triggerWords[run.triggerType] }, run.branch ?? '', run.pullNumber !== null && ` #${run.pullNumber}`),
                el('span', { class: 'stages' }, el('span', { class: 'pips', 'aria-hidden': 'true' }, pips(run)),
                    stage && el('span', { class: `at ${run.status}` }, stageName(stage)),
                    run.tests?.failed > 0 && el('span', { class: 'at FAILURE' }, ` ${testsWords(run.tests)}`)),
                el('span', { class: 'message' },
                    run.commitHash && el('code', {}, shortId(run.commitHash)), ' ', (run.commitMessage ?? '').split('\n')[0],
                    run.committer && el('span', { class: 'hint' }, ` ${run.committer}`),
                    waitsWords(run) && el('span', { class: 'hint' }, ` waits for ${waitsWords(run)}`)),
                el('span', { class: 'time' }, timeWords(run.startedAt ?? run.createdAt)),
                el('span', { class: 'took' }, worked(run, Date.now())),
                el('code', { class: 'id' }, shortId(run.id)));
            return item;
        },
        inSight(first, last) {
            if (runs?.more && !search.value && last > shown.length - 60)
                readOn();
            if (active < first || active > last)
                activate(Math.min(Math.max(active, first), Math.max(first, last)));
        },
    });

    function activate(index) {
        const before = list.elementOf(active)?.firstChild;
        if (before)
            before.tabIndex = -1;
        active = index;
        const now = list.elementOf(active)?.firstChild;
        if (now)
            now.tabIndex = 0;
    }

    function show() {
        const wanted = search.value.trim().toLowerCase();
        shown = wanted ? runs.all.filter((run) => holds(run, serviceOf(run), wanted)) : runs.all;
        const read = countWords(runs.all.length, 'run', 'runs');
        count.textContent = wanted ? `${shown.length.toLocaleString('en')} of ${runs.more ? 'the newest ' : ''}${read}`
            : runs.more ? `newest ${read}` : read;
        list.resize(shown.length);
        list.refresh();
        if (shown.length === 0 && (!runs.more || wanted))
            refill(notice, el('p', { class: 'empty' }, wanted || status.value || service.value
                ? 'No matching runs.' : 'No runs yet. A service has a Run button; on the host: stagectl run SERVICE.'));
        else
            refill(notice);
    }

    async function readOn() {
        const reading = runs;
        try {
            await reading.readOn(signal);
            if (reading === runs)
                show();
        } catch (error) {
            if (isShowable(error) && reading === runs && shown.length === 0)
                refill(notice, problem(error));
        }
    }

    /** Reads on until the search limit. */
    async function searchOn() {
        const reading = runs;
        while (reading === runs && search.value && runs.more && runs.all.length < mostSearched && !signal.aborted) {
            const before = runs.all.length;
            await readOn();
            if (runs.all.length === before)
                return;
        }
    }

    function begin() {
        const filter = {};
        if (status.value)
            filter.status = status.value;
        if (service.value)
            filter.serviceId = service.value;
        runs = new Runs(filter);
        return readOn().then(searchOn);
    }

    function remember() {
        const query = new URLSearchParams();
        for (const [name, input] of Object.entries({ search, status, service }))
            if (input.value)
                query.set(name, input.value);
        history.replaceState(null, '', query.size > 0 ? `#/?${query}` : '#/');
    }

    search.addEventListener('input', () => {
        remember();
        list.scrollTo(0);
        show();
        searchOn();
    });
    for (const select of [status, service])
        select.addEventListener('change', () => {
            remember();
            list.scrollTo(0);
            begin();
        });

    scroller.addEventListener('keydown', (event) => {
        const page = Math.max(1, Math.floor(list.visible) - 1);
        const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
        if (step === undefined || event.ctrlKey || event.metaKey || event.altKey)
            return;
        event.preventDefault();
        const to = Math.max(0, Math.min(shown.length - 1, active + step));
        list.reveal(to);
        activate(to);
        list.elementOf(to)?.firstChild.focus({ preventScroll: true });
    });
    // From a fresh page too, where nothing has the focus, and from the search.
    document.addEventListener('keydown', (event) => {
        const idle = document.activeElement === document.body || document.activeElement === main || event.target === search;
        if (idle && ['ArrowDown', 'ArrowUp'].includes(event.key) && shown.length > 0 && !document.querySelector('dialog')) {
            event.preventDefault();
            list.elementOf(active)?.firstChild.focus({ preventScroll: true });
        }
    }, { signal });
    scroller.addEventListener('focusin', (event) => {
        if (event.target.dataset.index)
            activate(Number(event.target.dataset.index));
    });
    narrow.addEventListener('change', () => list.setRowHeight(narrow.matches ? 62 : 34), { signal });

    // Several changes are drawn once.
    let frame = 0;
    const soon = () => { frame ||= requestAnimationFrame(() => { frame = 0; show(); }); };
    let completing = 0;
    /** Reads the stages of runs that came as events, a little later: they may come by the hundred. */
    const complete = () => {
        completing ||= setTimeout(async () => {
            completing = 0;
            try {
                if (await runs.readStages(signal)) {
                    soon();
                    complete();
                }
            } catch (error) {
                isShowable(error); // the marks stay away
            }
        }, 300);
    };
    signal.addEventListener('abort', () => clearTimeout(completing));
    stream.addEventListener('run', ({ detail }) => { runs.take(detail); soon(); complete(); }, { signal });
    stream.addEventListener('stage', ({ detail }) => runs.takeStage(detail) && soon(), { signal });
    stream.addEventListener('deleted', ({ detail }) => {
        if (!detail.stageId)
            runs.remove(detail.runId);
        soon();
    }, { signal });
    const ticker = setInterval(() => runs.all.some((run) => run.status === 'IN_PROGRESS') && list.refresh(), 1000);
    signal.addEventListener('abort', () => clearInterval(ticker));

    async function readServices() {
        try {
            services = await servicesById({ signal });
        } catch {
            return;
        }
        const chosen = service.value || parameters.service || '';
        refill(service, service.firstChild, ...[...services].map(([id, { name }]) => el('option', { value: id }, name)));
        service.value = services.has(chosen) ? chosen : '';
        if (runs)
            list.refresh();
    }

    // A service in the address must be known before its runs are requested.
    if (parameters.service)
        readServices().then(begin);
    else {
        begin();
        readServices();
    }
    let opened = false;
    return {
        refresh() {
            // Events missed during a lost connection are resent; changes between the first answer and the
            // opening of the stream are not.
            if (!opened)
                begin();
            opened = true;
            readServices();
        },
        update(next) {
            search.value = next.search ?? '';
            status.value = next.status ?? '';
            service.value = next.service ?? '';
            begin();
        },
    };
}

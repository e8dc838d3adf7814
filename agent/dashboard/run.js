// One run: its facts, its timeline and the selected stage.
import { getJson, servicesById, stageDetail, isShowable } from './api.js';
import { runActions } from './changes.js';
import { attemptsIn, neighboursOf, usualTimes } from './earlier.js';
import { el, forgeLink, picture, problem, refill } from './dom.js';
import { StagePanel } from './stage.js';
import { Timeline } from './timeline.js';
import { labelWords, runWords, shortId, testsWords, timeWords, triggerWords, waitsWords, worked } from './words.js';

/** Returns the stage to show by default. */
function defaultStage(stages) {
    return stages.find((stage) => ['IN_PROGRESS', 'AWAITING_APPROVAL', 'FAILURE'].includes(stage.status)) ??
        stages.findLast((stage) => stage.startedAt) ?? stages[0];
}

function ended(run) {
    return Boolean(run.endedAt);
}

function besideLink(run, words) {
    return run && el('a', { href: `#/runs/${run.id}`, class: 'plain', title: `${runWords(run)}, ${timeWords(run.startedAt ?? run.createdAt)}` },
        el('span', { class: `status ${run.status}` }, picture(run.status)), ` ${words}`);
}

export function mountRun(main, parameters, { stream, signal }) {
    const id = parameters.run;
    let wanted = parameters;
    let run = null;
    let stages = [];
    let service = '';
    let links = {};
    let gone = false;
    let shownStage = '';
    let beside = { before: null, after: null };
    let usual = new Map();
    let attempts = new Map();
    let attemptsKey = '';

    const head = el('section', { class: 'run-head', 'aria-label': 'Run' });
    const timelineRoot = el('section', { class: 'timeline', 'aria-label': 'Timeline' });
    const panelRoot = el('section', { class: 'panel', 'aria-label': 'Stage' });
    const notice = el('div', {});
    main.append(notice, head, timelineRoot, panelRoot);
    const timeline = new Timeline(timelineRoot);
    // The running stage is shown until the user focuses a stage, which then stays.
    panelRoot.addEventListener('focusin', () => {
        if (wanted.stage)
            return;
        wanted = { ...wanted, stage: shownStage };
        history.replaceState(null, '', `#/runs/${id}/${shownStage}`);
    }, { signal });
    const panel = new StagePanel(panelRoot, { signal, changed: () => refresh() });

    const took$ = el('span', {});
    let drawnHead = '';

    function drawHead() {
        const timed = stages.map((stage) => ({ ...stage, earlierMs: attempts.get(stage.id)?.reduce((sum, { begin, end }) => sum + end - begin, 0) }));
        took$.textContent = worked({ ...run, stages: timed }, Date.now()) || '–';
        const now = JSON.stringify([run, service, links, beside, stages.map((stage) => stage.status)]);
        if (now === drawnHead)
            return;
        drawnHead = now;
        const fact = (name, ...value) => el('div', {}, el('dt', {}, name), el('dd', {}, ...value));
        const message = (run.commitMessage ?? '').split('\n')[0];
        const hadFocus = head.querySelector('.actions')?.contains(document.activeElement);
        refill(head,
            el('div', { class: 'title' },
                el('h1', {}, run.serviceName ? el('a', { href: `#/services/${run.serviceName}` }, service) : service, ' ', el('code', {}, shortId(run.id))),
                el('span', { class: `status ${run.status}` }, picture(run.status), runWords(run)),
                (beside.before || beside.after) && el('nav', { class: 'beside', 'aria-label': 'Runs of the service' },
                    besideLink(beside.before, '← Previous'), besideLink(beside.after, 'Next →')),
                el('span', { class: 'actions' }, runActions(run, stages, refresh))),
            (run.commitHash || message) && el('p', { class: 'commit' },
                run.commitHash && forgeLink(links.commit, run.commitHash, el('code', { title: run.commitHash }, run.commitHash.slice(0, 12))), ' ', message),
            el('dl', { class: 'facts' },
                waitsWords(run) && fact('Waits for', run.waitingFor.runId
                    ? el('a', { href: `#/runs/${run.waitingFor.runId}` }, waitsWords(run)) : waitsWords(run)),
                run.branch && fact('Branch', forgeLink(links.branch, run.branch, run.branch)),
                run.pullNumber !== null && fact('Pull request', forgeLink(links.pull, run.pullNumber, `#${run.pullNumber}`)),
                labelWords(run) && fact('Labels', labelWords(run)),
                run.committer && fact('Committer', run.committer),
                run.tests && fact('Tests', testsWords(run.tests)),
                run.kept && fact('Kept', 'by hand'),
                fact('Started', run.startedAt ? el('time', { datetime: run.startedAt, title: run.startedAt }, timeWords(run.startedAt)) : 'not yet'),
                fact('Took', took$),
                fact('Trigger', triggerWords[run.triggerType])));
        if (hadFocus)
            head.querySelector('.actions button')?.focus();
    }

    function draw() {
        if (!run || gone)
            return;
        const selected = stages.find((stage) => stage.id === wanted.stage) ?? defaultStage(stages);
        shownStage = selected?.id;
        drawHead();
        timeline.draw(stages, selected?.id, { ended: ended(run), usual, attempts });
        panel.show(selected, { run, stages, line: wanted.line });
    }

    let reading = null;
    let again = false;

    /** Reloads the run; calls during a reload cause one more. */
    async function refresh() {
        if (reading) {
            again = true;
            return;
        }
        do {
            again = false;
            reading = read().finally(() => { reading = null; });
            await reading;
        } while (again && !signal.aborted);
    }

    async function read() {
        try {
            const [nextRun, list, services] = await Promise.all([
                getJson(`/api/runs/${id}`, { signal }), getJson(`/api/stages?runId=${id}`, { signal }), servicesById({ signal })]);
            // Unchanged stages are not requested again.
            const known = new Map(stages.map((stage) => [stage.id, stage]));
            stages = await Promise.all(list.map((stage) => {
                const had = known.get(stage.id);
                return had && had.updatedAt === stage.updatedAt && stage.status !== 'IN_PROGRESS'
                    ? had : stageDetail(stage.id, { signal });
            }));
            run = nextRun;
            service = services.get(run.serviceId)?.name ?? (run.serviceId ? shortId(run.serviceId) : 'Inline pipeline');
            links = services.get(run.serviceId)?.links ?? {};
            gone = false;
            refill(notice);
            draw();
            readEarlier();
        } catch (error) {
            if (!isShowable(error))
                return;
            gone = error.status === 404;
            if (gone)
                [head, timelineRoot, panelRoot].forEach((part) => { part.hidden = true; });
            if (gone || !run)
                refill(notice, el('h1', { class: 'unseen' }, 'Run'), problem(error));
        }
    }

    let asked = false;

    /** Reads what the page can do without: it is shown when it has come. */
    async function readEarlier() {
        const key = stages.filter((stage) => stage.attempt > 1).map((stage) => `${stage.id} ${stage.attempt} ${stage.startedAt}`).join();
        const first = !asked;
        asked = true;
        try {
            if (key !== attemptsKey) {
                attemptsKey = key;
                attempts = attemptsIn(await getJson(`/api/runs/${id}/history`, { signal }), stages);
                draw();
            }
            if (first && run.serviceId) {
                beside = await neighboursOf(run, { signal });
                draw();
                usual = await usualTimes(run.serviceId, { signal });
                draw();
            }
        } catch (error) {
            isShowable(error); // the page does without
        }
    }

    stream.addEventListener('run', ({ detail }) => {
        if (detail.id === id)
            refresh();
        else if (run?.serviceId && detail.serviceId === run.serviceId && !beside.after && detail.createdAt > run.createdAt) {
            beside = { ...beside, after: detail };
            draw();
        }
    }, { signal });
    stream.addEventListener('stage', ({ detail }) => detail.runId === id && refresh(), { signal });
    stream.addEventListener('deleted', ({ detail }) => detail.runId === id && refresh(), { signal });
    let idle = 0;
    const ticker = setInterval(() => {
        if (stages.some((stage) => stage.status === 'IN_PROGRESS'))
            draw();
        // The place in the queue changes without an event of this run.
        if (run?.waitingFor?.place && !document.hidden && ++idle % 5 === 0)
            refresh();
    }, 1000);
    signal.addEventListener('abort', () => clearInterval(ticker));
    refresh();
    return {
        refresh,
        update(next) {
            wanted = next;
            draw();
        },
    };
}

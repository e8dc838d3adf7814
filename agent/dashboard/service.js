// The services, and one of them: how it stands, how long it takes, and a button that starts it.
import { getJson, isShowable, may, request } from './api.js';
import { startRun } from './changes.js';
import { el, forgeLink, picture, problem, refill, svg } from './dom.js';
import { countWords, durationWords, runWords, shortId, stageName, stageOf, timeWords, worked, workedMs } from './words.js';

const mostRuns = 100; // that a page looks at

function ended(run) {
    return Boolean(run.endedAt);
}

function durationOf(run) {
    return workedMs(run.stages);
}

function median(numbers) {
    const sorted = numbers.toSorted((a, b) => a - b);
    return sorted.length > 0 ? sorted[Math.floor(sorted.length / 2)] : null;
}

function runLink(run) {
    const stage = stageOf(run);
    return el('a', { href: `#/runs/${run.id}`, class: 'plain' },
        el('span', { class: `status ${run.status}` }, picture(run.status), runWords(run)), stage && ` ${stageName(stage)}`);
}

function startButton(service) {
    return may('run') && el('button', { type: 'button', class: 'go', onclick: () => startRun(service) }, 'Run');
}

/** Returns a bar per run, the newest at the right; its height is how long it took. */
function chart(runs) {
    const shown = runs.filter((run) => ended(run) && run.startedAt).slice(0, 50).reverse();
    const longest = Math.max(1, ...shown.map(durationOf));
    if (shown.length < 2)
        return null;
    const words = `How long the last ${shown.length} runs took: at most ${durationWords(longest)}`;
    return el('figure', { class: 'chart' }, svg('svg', { viewBox: `0 0 ${shown.length * 12} 60`, role: 'img', 'aria-label': words, preserveAspectRatio: 'none' },
        ...shown.map((run, i) => {
            const height = Math.max(2, 58 * durationOf(run) / longest);
            const bar = svg('rect', { x: i * 12 + 1, y: 60 - height, width: 10, height, class: `bar-of ${run.status}` });
            bar.append(svg('title', {}, `${timeWords(run.startedAt)}: ${runWords(run)}, ${durationWords(durationOf(run))}`));
            return bar;
        })), el('figcaption', {}, `${words}. `, 'Striped: failed.'));
}

function facts(runs, service) {
    const over = runs.filter(ended);
    const good = over.filter((run) => run.status === 'SUCCESS');
    const usual = median(good.filter((run) => run.startedAt).map(durationOf));
    const last = runs[0];
    const onBranch = over.filter((run) => !run.pullNumber && (run.branch ?? service.branch) === service.branch);
    const sinceGood = onBranch.findIndex((run) => run.status === 'SUCCESS');
    const broke = sinceGood === 0 ? null : onBranch.at(sinceGood < 0 ? -1 : sinceGood - 1);
    const all = [
        ['Last run', last ? [runLink(last), ` ${timeWords(last.startedAt ?? last.createdAt)}`] : 'none yet'],
        ['Success', over.length > 0 && `${Math.round(100 * good.length / over.length)} % of ${countWords(over.length, 'run', 'runs')}`],
        ['Usual time', usual !== null && durationWords(usual)],
        ['Failing since', broke && [broke.commitHash && ['commit ', el('code', {}, broke.commitHash.slice(0, 12)), ', run '], el('a', { href: `#/runs/${broke.id}` }, el('code', {}, shortId(broke.id))),
            ` ${timeWords(broke.startedAt ?? broke.createdAt)}`, broke.committer && `, ${broke.committer}`]],
    ];
    return el('dl', { class: 'facts' }, all.filter(([, value]) => value).map(([name, value]) =>
        el('div', {}, el('dt', {}, name), el('dd', {}, ...[value].flat()))));
}

function table(caption, heads, rows) {
    return el('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': caption || 'Services' }, el('table', {}, el('caption', {}, caption),
        el('thead', {}, el('tr', {}, heads.map((words) => el('th', { scope: 'col' }, words)))),
        el('tbody', {}, rows.map((cells) => el('tr', {}, cells.map((cell) => el('td', {}, ...[cell ?? ''].flat())))))));
}

/** Calls `refresh` when a run has changed, at most once a second. */
function onRuns(stream, signal, refresh) {
    let timer = 0;
    stream.addEventListener('run', () => { timer ||= setTimeout(() => { timer = 0; refresh(); }, 1000); }, { signal });
    signal.addEventListener('abort', () => clearTimeout(timer));
}

export function mountService(main, { name }, { stream, signal }) {
    const root = el('div', { class: 'page' });
    main.append(root);

    async function refresh() {
        try {
            const service = await getJson(`/api/services/${encodeURIComponent(name)}`, { signal });
            const runs = await getJson(`/api/runs?serviceId=${service.id}&view=detail&limit=${mostRuns}`, { signal });
            refill(root,
                el('div', { class: 'title' }, el('h1', {}, service.name), el('span', { class: 'actions' }, startButton(service))),
                service.repository && el('p', { class: 'hint' }, service.repository, service.branch && `, branch ${service.branch}`),
                facts(runs, service), chart(runs),
                runs.length > 0 && table('Latest runs', ['Run', 'Status', 'Branch', 'Commit', 'Started', 'Took'], runs.slice(0, 20).map((run) => [
                    el('a', { href: `#/runs/${run.id}` }, el('code', {}, shortId(run.id))), runLink(run), forgeLink(service.links.branch, run.branch, run.branch),
                    [run.commitHash && forgeLink(service.links.commit, run.commitHash, el('code', {}, shortId(run.commitHash))), ' ', (run.commitMessage ?? '').split('\n')[0]],
                    timeWords(run.startedAt ?? run.createdAt), worked(run, Date.now())])),
                el('p', {}, el('a', { href: `#/?service=${service.id}` }, 'All its runs')),
                table('Stages', ['Name', 'Type', 'Plugin', 'Approval'], service.stages.map((stage) => [
                    stageName(stage), el('code', {}, stage.type), stage.plugin, stage.approval ? 'required' : 'none'])));
        } catch (error) {
            if (isShowable(error))
                refill(root, el('h1', {}, name), problem(error));
        }
    }

    onRuns(stream, signal, refresh);
    refresh();
    return { refresh };
}

export function mountServices(main, _, { stream, signal }) {
    const root = el('div', { class: 'page' });
    main.append(el('h1', {}, 'Services'), root);

    async function refresh() {
        try {
            const services = await getJson('/api/services', { signal });
            const last = await Promise.all(services.map(async (service) =>
                (await (await request('GET', `/api/runs?serviceId=${service.id}&view=detail&limit=1`, { signal })).json())[0]));
            refill(root, services.length === 0
                ? el('p', { class: 'empty' }, 'No service yet. ', el('code', {}, 'stagectl init'), ' in a repository writes a first one into services.d of the agent.')
                : table('Declared in services.d', ['Service', 'Last run', 'Branch', 'Started', 'Took', 'Start'], services.map((service, i) => [
                    el('a', { href: `#/services/${service.name}` }, service.name),
                    last[i] && runLink(last[i]), last[i]?.branch, last[i] && timeWords(last[i].startedAt ?? last[i].createdAt),
                    last[i] && worked(last[i], Date.now()), startButton(service)])));
        } catch (error) {
            if (isShowable(error))
                refill(root, problem(error));
        }
    }

    onRuns(stream, signal, refresh);
    refresh();
    return { refresh };
}

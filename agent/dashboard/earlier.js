// What came before: the runs beside one of a service, how long its stages usually take, earlier attempts.
import { getJson } from './api.js';

const usualOf = 10; // successes, each a request
const fewest = 3; // below that nothing is usual
const hour = 3600_000;

/** Returns the runs before and after one of a service, null for none. The next is not looked for beyond 1,000 runs. */
export async function neighboursOf(run, options) {
    const list = (query) => getJson(`/api/runs?${new URLSearchParams({ serviceId: run.serviceId, ...query })}`, options);
    const before = (await list({ before: run.id, limit: 1 }))[0] ?? null;
    // Runs are listed newest first: a time after this run is widened until another one is in it.
    for (const span of [hour, 24 * hour, 30 * 24 * hour, null]) {
        const until = span && { until: new Date(Date.parse(run.createdAt) + span).toISOString() };
        const runs = await list({ since: run.createdAt, ...until, limit: 1000 });
        const at = runs.findIndex((each) => each.id === run.id);
        if (at !== 0)
            return { before, after: runs[at - 1] ?? null };
    }
    return { before, after: null };
}

/** Returns the median of how long each stage took in the service's last successes, in ms by the stage's name. */
export async function usualTimes(serviceId, options) {
    const runs = await getJson(`/api/runs?serviceId=${serviceId}&status=SUCCESS&limit=${usualOf}`, options);
    const stages = await Promise.all(runs.map((run) => getJson(`/api/stages?runId=${run.id}&view=detail`, options)));
    const times = new Map();
    for (const { name, status, cause, durationMs } of stages.flat())
        if (status === 'SUCCESS' && ['EXIT', 'EXTERNAL'].includes(cause) && durationMs !== null)
            times.set(name, [...times.get(name) ?? [], durationMs]);
    return new Map([...times].filter(([, all]) => all.length >= fewest)
        .map(([name, all]) => [name, all.sort((a, b) => a - b)[Math.floor(all.length / 2)]]));
}

/** Returns the attempts before the current one of each stage, by its id, from the run's history. */
export function attemptsIn(history, stages) {
    const attempts = new Map(stages.map((stage) => [stage.id, []]));
    const begun = new Map();
    for (const { stageId, from, to, at, attempt } of history) {
        if (!attempts.has(stageId) || from === to)
            continue;
        if (to === 'IN_PROGRESS')
            begun.set(stageId, { attempt, begin: Date.parse(at) });
        else if (from === 'IN_PROGRESS' && begun.has(stageId)) {
            attempts.get(stageId).push({ ...begun.get(stageId), end: Date.parse(at), status: to === 'SUCCESS' ? to : 'FAILURE' });
            begun.delete(stageId);
        }
    }
    return new Map(stages.map((stage) => [stage.id, attempts.get(stage.id).filter(({ attempt }) =>
        attempt < stage.attempt || (attempt === stage.attempt && stage.startedAt === null))]));
}

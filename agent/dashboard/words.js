// Display texts for the API's values.

export const statusWords = {
    IDLE: 'Waiting',
    IN_PROGRESS: 'Running',
    AWAITING_APPROVAL: 'Needs approval',
    SUCCESS: 'Success',
    FAILURE: 'Failed',
};

export const triggerWords = { MAIN: 'main', PR_OPEN: 'pull request', PR_SYNC: 'pull request', MANUAL: 'manual' };

/** Returns why a stage ended; empty if the status is enough. */
export function causeWords(stage) {
    switch (stage.cause) {
    case null: return stage.skipped ?? '';
    case 'EXIT': return stage.exitCode === 0 ? '' : `exit code ${stage.exitCode}`;
    case 'SIGNAL': return `ended by signal ${stage.signal}`;
    case 'EXTERNAL': return 'ended externally';
    case 'TIMEOUT': return 'exceeded its time limit';
    case 'SILENT': return 'no output for too long';
    case 'STOPPED': return 'the run was stopped';
    case 'SUPERSEDED': return 'a newer run took its place';
    case 'REJECTED': return 'the approval was rejected';
    case 'EXPIRED': return 'nobody approved it in time';
    case 'OPERATOR': return stage.status === 'SUCCESS' ? 'set to success by an operator' : 'ended by an operator';
    case 'SKIPPED': return 'skipped by an operator';
    case 'OOM': return 'out of memory, killed by the kernel';
    case 'DISK_FULL': return 'the disk was full';
    case 'ARTIFACTS': return 'files to keep, or reports, are missing or were left out';
    case 'NEEDS': return 'what it needs of another service';
    case 'LOG_LIMIT': return 'the log reached its limit';
    case 'LOG_CUT_BY_POWER_LOSS': return 'a power cut took the end of the log';
    case 'OUTCOME_REFUSED': return 'its outcome was not written by its shim';
    case 'LEFT_BEHIND': return 'processes that it left behind were ended';
    case 'SHIM_STOPPED': return 'another process had stopped its shim';
    case 'PLUGIN_MISSING': return 'the plugin is missing';
    case 'PLUGIN_ERROR': return 'the plugin failed';
    case 'SPAWN_ERROR': return 'could not be started';
    case 'SHIM_LOST': return 'its shim was lost';
    case 'HOST_REBOOT': return 'the host rebooted';
    default: return stage.cause.toLowerCase().replaceAll('_', ' ');
    }
}

/** Returns what keeps the run from going on; empty if nothing does. */
export function waitsWords(run) {
    const { reason, runId, place, until } = run.waitingFor ?? {};
    const inQueue = place ? `, place ${place.toLocaleString('en')}` : '';
    switch (reason) {
    case undefined: return '';
    case 'slot': return `a slot${inQueue}`;
    case 'concurrency': return `run ${shortId(runId)} of its service${inQueue}`;
    case 'draining': return `the agent, which is draining${inQueue}`;
    case 'disk': return `space on the disk${inQueue}`;
    case 'approval': return `an approval${until ? ` until ${timeWords(until)}` : ''}`;
    case 'external': return 'an outside party';
    case 'retry': return `its next attempt at ${timeWords(until)}`;
    default: return reason;
    }
}

/** Returns what changes the meaning of a stage's status; empty if nothing does. */
function asideOf(stage) {
    if (stage.status === 'SUCCESS')
        return { SKIPPED: ' (skipped)', OPERATOR: ' (accepted)' }[stage.cause] ?? '';
    return stage.status === 'IN_PROGRESS' && stage.stuckSince ? ' (stuck)' : '';
}

/** Returns a stage's status in words; `ended`: so has its run. */
export function stageWords(stage, ended) {
    if (stage.skipped)
        return 'Skipped';
    return ended && stage.status === 'IDLE' ? 'Not run' : statusWords[stage.status] + asideOf(stage);
}

/** Returns the picture of a stage's status: a skipped one looks like no success. */
export function stageLook(stage) {
    return stage.skipped || stage.cause === 'SKIPPED' ? 'SKIPPED' : stage.status;
}

/** `3 of 412 failed`, `411 passed` */
export function testsWords({ total, failed, skipped }) {
    return failed > 0 ? `${failed} of ${total} failed` : `${total - skipped} passed`;
}

/** Returns the stage that failed in a run or that it is at; null if none. */
export function stageOf(run) {
    return run.failedStage ?? run.currentStage;
}

export function runWords(run) {
    return statusWords[run.status] + (run.currentStage?.stuckSince ? ' (stuck)' : '');
}

/** `UNIT_TEST` → `Unit test`. */
export function typeWords(type) {
    const words = type.toLowerCase().replaceAll('_', ' ');
    return words[0].toUpperCase() + words.slice(1);
}

/** Returns a stage's name, or that of its type. */
export function stageName(stage) {
    return stage.name && stage.name !== stage.type ? stage.name : typeWords(stage.type);
}

export function shortId(id) {
    return id.slice(0, 8);
}

/** `850 ms`, `4.2 s`, `3 m 07 s`, `2 h 05 m`. */
export function durationWords(ms) {
    if (ms < 1000)
        return `${Math.max(0, Math.round(ms))} ms`;
    const seconds = Math.floor(ms / 1000);
    if (seconds < 10)
        return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
    if (seconds < 60)
        return `${seconds} s`;
    const two = (number) => String(number).padStart(2, '0');
    if (seconds < 3600)
        return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
    if (seconds < 86400)
        return `${Math.floor(seconds / 3600)} h ${two(Math.floor(seconds / 60) % 60)} m`;
    return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

/** Returns how long a run or stage took, or has run until `now`; empty before it started. */
export function took(record, now) {
    if (!record.startedAt)
        return '';
    const end = record.endedAt ? Date.parse(record.endedAt) : now;
    return durationWords(end - Date.parse(record.startedAt));
}

/** Returns for how many ms stages have run until `now`, their earlier attempts too, without what their run waited for in between. */
export function workedMs(stages, now) {
    return stages.reduce((sum, stage) => sum + (stage.earlierMs ?? 0) +
        (stage.startedAt ? Math.max(0, (stage.endedAt ? Date.parse(stage.endedAt) : now) - Date.parse(stage.startedAt)) : 0), 0);
}

/** The same in words for a run with its stages; empty before it started. */
export function worked(run, now) {
    return run.startedAt && run.stages ? durationWords(workedMs(run.stages, now)) : took(run, now);
}

/** `team:pay, ticket:4711` */
export function labelWords(run) {
    return Object.entries(run.labels ?? {}).map(([key, value]) => `${key}:${value}`).join(', ');
}

/** Returns the notes of a stage in words. */
export function notesWords(stage) {
    return (stage.notes ?? '').split(',').filter(Boolean).map((cause) => causeWords({ cause })).join('; ');
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });

/** Returns the time of day, with the date unless it is today. */
export function timeWords(iso) {
    const time = new Date(iso);
    const today = new Date().toDateString() === time.toDateString();
    return today ? clock.format(time) : `${day.format(time)}, ${clock.format(time)}`;
}

export function clockWords(iso) {
    return `${clock.format(new Date(iso))}.${iso.slice(20, 23)}`;
}

export function bytesWords(bytes) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) {
        bytes /= 1024;
        ++unit;
    }
    return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

export function countWords(count, one, many) {
    return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

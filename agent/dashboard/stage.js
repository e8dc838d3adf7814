// One stage: its facts, actions, log and history.
import { getJson, isShowable } from './api.js';
import { stageActions } from './changes.js';
import { el, picture, refill } from './dom.js';
import { drawHistory } from './history.js';
import { LogView } from './log.js';
import { processTable } from './processes.js';
import { bytesWords, causeWords, countWords, notesWords, shortId, stageLook, stageName, stageWords, testsWords, timeWords } from './words.js';

/** Returns how the process ended, whatever an operator decided afterwards. */
function processWords(stage) {
    if (stage.exitCode !== null)
        return `exit code ${stage.exitCode}`;
    if (stage.signal !== null)
        return `ended by signal ${stage.signal}`;
    return stage.status === 'IN_PROGRESS' && stage.plugin !== 'external' ? 'running' : '';
}

/** Returns the cause once, with how the process ended where an operator decided otherwise. */
function whyWords(stage) {
    const cause = causeWords(stage);
    const process = ['OPERATOR', 'TIMEOUT', 'SILENT', 'STOPPED'].includes(stage.cause) ? processWords(stage) : '';
    return [cause, process].filter(Boolean).join(', ');
}

function isolationWords(stage) {
    return stage.network === 'none' ? `${stage.isolation}, no network` : stage.isolation;
}

/** Returns what the stage was given of other services, each with the run that made it. */
function givenWords(needs = []) {
    return needs.length > 0 && needs.flatMap((set, i) => [
        `${i > 0 ? '; ' : ''}${set.artifacts} of ${set.service}${set.branch ? ` (${set.branch})` : ''} in ${set.to}, of `,
        el('a', { href: `#/runs/${set.runId}` }, `run ${shortId(set.runId)}`)]);
}

function facts(stage) {
    const all = [
        ['Goes out', stage.goesOut],
        ['Plugin', stage.plugin],
        ['Attempt', stage.attempt > 0 && String(stage.attempt)],
        ['Started', stage.startedAt && timeWords(stage.startedAt)],
        ['Ended', stage.endedAt && timeWords(stage.endedAt)],
        ['Why', whyWords(stage) && [whyWords(stage), ' ', el('code', { class: 'hint' }, stage.cause)]],
        ['CPU', stage.usage.cpuMs !== null && `${(stage.usage.cpuMs / 1000).toFixed(1)} s`],
        ['Memory', stage.usage.maxRssBytes !== null && bytesWords(stage.usage.maxRssBytes)],
        ['Log', stage.logBytes > 0 && bytesWords(stage.logBytes)],
        ['Notes', notesWords(stage)],
        ['Stuck since', stage.stuckSince && `${timeWords(stage.stuckSince)}: ${stage.stuckWhy ?? ''}`],
        ['Was given', givenWords(stage.needs)],
        ['Limits not enforced', stage.limitsMissing.join(', ')],
        ['Containment', stage.containment],
        ['Isolation', isolationWords(stage)],
    ];
    const command = stage.definition?.with.command;
    return el('div', {}, command && el('pre', { class: 'command', tabindex: 0, 'aria-label': 'Command' }, command), el('dl', { class: 'facts' }, all.filter(([, value]) => value).map(([name, value]) =>
        el('div', {}, el('dt', {}, name), el('dd', {}, ...[value].flat())))));
}

/** Returns which commit an approval sends out. */
function goesOut(run) {
    if (!run.commitHash && !run.branch)
        return '';
    const message = (run.commitMessage ?? '').split('\n')[0];
    return [run.commitHash ? `commit ${run.commitHash.slice(0, 12)}` : 'the newest commit', run.branch && `of ${run.branch}`,
        run.committer && `by ${run.committer}`, message && `"${message}"`].filter(Boolean).join(' ');
}

export class StagePanel {
    #root;
    #signal;
    #changed;
    #stage = null;
    #version = ''; // of the stage as drawn
    #historyVersion = ''; // versions of the run's stages as drawn in the history
    #log = null;
    #run = null;
    #looked = 0; // when the processes were asked for
    #tab = 'log';

    /** `changed` is called after an action on the stage. */
    constructor(root, { signal, changed }) {
        this.#root = root;
        this.#signal = signal;
        this.#changed = changed;
        this.head = el('div', {});
        this.tabs = el('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Stage views' },
            Object.entries({ log: 'Log', tests: 'Tests', files: 'Files', history: 'History' }).map(([name, words]) => this.#tabButton(name, words)));
        const panel = (name, look) => el('div', { class: look, role: 'tabpanel', id: `panel-${name}`, 'aria-labelledby': `tab-${name}`, hidden: name !== 'log' });
        this.panels = { log: panel('log', 'log'), tests: panel('tests', 'results'), files: panel('files', 'results'), history: panel('history', 'past') };
        this.historyRoot.tabIndex = 0;
        this.processes = el('div', { hidden: true });
        root.append(this.head, this.processes, this.tabs, ...Object.values(this.panels));
        root.hidden = true;
    }

    get logRoot() { return this.panels.log; }
    get historyRoot() { return this.panels.history; }

    /** Shows the stage; `line` of its log comes from the address. */
    show(stage, { run, stages, line }) {
        this.#root.hidden = !stage;
        if (!stage)
            return;
        const other = stage.id !== this.#stage?.id;
        this.#stage = stage;
        this.#run = run;
        this.#showProcesses();
        const ended = Boolean(run.endedAt);
        const version = `${stage.id} ${stage.version} ${ended} ${goesOut(run)}`;
        if (version !== this.#version) {
            this.#drawHead(ended);
            this.#showTabs();
        }
        this.#version = version;
        const historyVersion = stages.map((each) => `${each.id} ${each.version}`).join();
        if (historyVersion !== this.#historyVersion)
            this.#drawHistory(run, stages);
        this.#historyVersion = historyVersion;
        if (other) {
            this.#looked = 0;
            refill(this.processes);
            this.#log?.close();
            this.#log = new LogView(this.logRoot, stage, { signal: this.#signal });
        }
        this.#log.update(stage, line);
    }

    #drawHead(ended) {
        const stage = { ...this.#stage, ended, goesOut: this.#stage.status === 'AWAITING_APPROVAL' ? goesOut(this.#run) : '' };
        const hadFocus = this.head.contains(document.activeElement);
        refill(this.head,
            el('div', { class: 'title' },
                el('h2', {}, stageName(stage)),
                el('span', { class: `status ${stageLook(stage)}` }, picture(stageLook(stage)), stageWords(stage, ended)),
                el('span', { class: 'actions' }, stageActions(stage, () => this.#done()))),
            stage.message && stage.cause !== 'EXIT' && el('p', { class: 'message' }, stage.message),
            facts(stage));
        if (hadFocus)
            this.#focusTab();
        if (stage.status === 'AWAITING_APPROVAL')
            this.#showCommits(stage);
    }

    /** Lists the commits that an approval sends out. */
    async #showCommits({ id, runId }) {
        try {
            const { commits, complete, sinceCommitHash } = await getJson(`/api/runs/${runId}/outgoing-commits`, { signal: this.#signal });
            if (commits.length > 0 && id === this.#stage?.id)
                this.head.append(el('details', { open: true }, el('summary', {}, !sinceCommitHash ? 'The first to go out'
                    : `${complete ? countWords(commits.length, 'commit', 'commits') : 'At least these commits'} since ${sinceCommitHash.slice(0, 12)}`),
                el('ul', { class: 'commits' }, commits.map((each) => el('li', {}, el('code', {}, each.commitHash.slice(0, 12)), ` ${each.subject}`)))));
        } catch (error) {
            isShowable(error);
        }
    }

    /** Shows what runs in the stage now; asks at most every 5 seconds. */
    async #showProcesses() {
        const stage = this.#stage;
        if (stage.status !== 'IN_PROGRESS' || stage.plugin === 'external') {
            this.processes.hidden = true;
            return;
        }
        if (Date.now() - this.#looked < 5000 || this.processes.matches(':hover, :focus-within'))
            return;
        this.#looked = Date.now();
        try {
            const processes = await getJson(`/api/stages/${stage.id}/processes`, { signal: this.#signal });
            this.processes.hidden = processes.length === 0;
            refill(this.processes, el('details', { open: stage.stuckSince !== null || this.processes.querySelector('details')?.open === true },
                el('summary', {}, countWords(processes.length, 'process', 'processes')), processTable(processes)));
        } catch (error) {
            isShowable(error); // the table stays as it was
        }
    }

    /** The pressed button may be gone: moves the keyboard focus to the tab beside it. */
    async #done() {
        await this.#changed();
        if (document.activeElement === document.body)
            this.#focusTab();
    }

    #focusTab() {
        this.tabs.querySelector('[aria-selected=true]').focus();
    }

    /** Shows the history of the whole run: an action on one stage affects others. */
    #drawHistory(run, stages) {
        this.drawHistory = () => drawHistory(this.historyRoot, `/api/runs/${run.id}/history`,
            new Map(stages.map((stage) => [stage.id, stageName(stage)])), this.#signal);
        if (this.#tab === 'history')
            this.drawHistory();
    }

    /** What a stage has not has no tab. */
    #showTabs() {
        const { tests, artifacts } = this.#stage;
        const [, testsTab, filesTab] = this.tabs.children;
        testsTab.hidden = !tests;
        testsTab.textContent = tests?.failed ? `Tests: ${testsWords(tests)}` : 'Tests';
        filesTab.hidden = !artifacts;
        filesTab.textContent = artifacts ? `Files (${artifacts.files.toLocaleString('en')})` : 'Files';
        if ((this.#tab === 'tests' && !tests) || (this.#tab === 'files' && !artifacts))
            this.#select('log', false);
        else
            this.#drawResults();
    }

    /** Their program comes when it is needed. */
    async #drawResults() {
        const name = this.#tab;
        if (name !== 'tests' && name !== 'files')
            return;
        const stage = this.#stage;
        const { drawTests, drawFiles } = await import('./results.js');
        if (stage === this.#stage)
            await (name === 'tests' ? drawTests : drawFiles)(this.panels[name], stage, this.#signal);
    }

    #tabButton(name, words) {
        return el('button', {
            type: 'button', role: 'tab', id: `tab-${name}`, 'aria-controls': `panel-${name}`,
            'aria-selected': name === 'log' ? 'true' : 'false', tabindex: name === 'log' ? 0 : -1,
            onclick: () => this.#select(name),
            onkeydown: (event) => {
                const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
                const all = [...this.tabs.children].filter((tab) => !tab.hidden);
                if (step)
                    this.#select(all.at((all.indexOf(event.target) + step) % all.length).id.slice(4));
            },
        }, words);
    }

    #select(name, focus = true) {
        this.#tab = name;
        for (const tab of this.tabs.children) {
            const selected = tab.id === `tab-${name}`;
            tab.setAttribute('aria-selected', String(selected));
            tab.tabIndex = selected ? 0 : -1;
            if (selected && focus)
                tab.focus();
        }
        for (const [panel, root] of Object.entries(this.panels))
            root.hidden = panel !== name;
        if (name === 'history')
            this.drawHistory();
        this.#drawResults();
    }
}

// Routing by the address, the state of the connection, the token.
import { hasToken, isShowable, learnCaller, openSession, session } from './api.js';
import { EventStream } from './events.js';
import { askToken } from './dialog.js';
import { el, refill, retext, visible } from './dom.js';
import { mountRuns } from './runs.js';
import { mountRun } from './run.js';
import { countStuck, mountStuck } from './stuck.js';
import { mountAgent } from './agent.js';
import { mountService, mountServices } from './service.js';
import { showKeys } from './keys.js';

const main = document.getElementById('main');
const connection = document.getElementById('connection');
const tokenButton = document.getElementById('token');
const stream = new EventStream();

let shown = { key: null, view: null, stop: null };

/** Returns the page to mount for `#/runs/RUN/STAGE/ATTEMPT.LINE?…`, with its parameters. */
function routeOf(hash) {
    const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
    const [page, run, stage, line] = path.split('/').map(decodeURIComponent);
    if (page === 'runs' && run)
        return { key: `run ${run}`, page: 'runs', mount: mountRun, parameters: { run, stage, line } };
    if (page === 'stuck')
        return { key: 'stuck', page, mount: mountStuck, parameters: {} };
    if (page === 'services' && run)
        return { key: `service ${run}`, page, mount: mountService, parameters: { name: run } };
    if (page === 'services')
        return { key: 'services', page, mount: mountServices, parameters: {} };
    if (page === 'agent')
        return { key: 'agent', page, mount: mountAgent, parameters: {} };
    return { key: 'runs', page: 'runs', mount: mountRuns, parameters: Object.fromEntries(new URLSearchParams(query)) };
}

function show() {
    const route = routeOf(location.hash);
    for (const link of document.querySelectorAll('nav a')) {
        if (link.dataset.page === route.page)
            link.setAttribute('aria-current', 'page');
        else
            link.removeAttribute('aria-current');
    }
    if (shown.key === route.key) {
        shown.view.update?.(route.parameters);
        return;
    }
    shown.stop?.abort();
    const stop = new AbortController();
    refill(main);
    main.className = route.key.split(' ')[0];
    main.scrollTop = 0;
    const moved = shown.key !== null;
    shown = { key: route.key, view: null, stop };
    shown.view = route.mount(main, route.parameters, { stream, signal: stop.signal });
    if (moved && !main.contains(document.activeElement))
        main.focus({ preventScroll: true });
}

const countdown = el('span', { 'aria-hidden': 'true' });

/** The countdown is hidden from screen readers, which announce the loss only once. */
function showCountdown() {
    const seconds = Math.round((stream.retryAt - Date.now()) / 1000);
    countdown.textContent = stream.state !== 'lost' ? '' : seconds > 0 ? `, retrying in ${seconds} s` : ', retrying';
}

function showConnection() {
    const words = { connecting: 'Connecting…', live: 'Live', lost: 'Connection lost', paused: 'Paused', closed: 'Signed out' };
    connection.dataset.state = stream.state;
    connection.title = stream.state === 'lost' ? 'The page may be out of date' : '';
    showCountdown();
    refill(connection, words[stream.state], countdown);
}

/** Returns whether the token was changed. */
async function changeToken(why) {
    if (!(await askToken(why)))
        return false;
    showToken();
    await learnCaller();
    shown.key = null;
    show();
    stream.start();
    return true;
}

// Whether the agent answers without a token: there is none to give then.
let letIn = false;

function showToken() {
    tokenButton.textContent = hasToken() ? 'Token ✓' : 'Token';
    tokenButton.hidden = !hasToken() && letIn;
}

// After a cancelled dialog only the button asks again.
let mayAsk = true;
session.addEventListener('unauthorized', async ({ detail }) => {
    if (!mayAsk)
        return;
    mayAsk = false;
    mayAsk = await changeToken(detail);
});
tokenButton.addEventListener('click', async () => { mayAsk = (await changeToken()) || mayAsk; });
showToken();

stream.addEventListener('state', showConnection);
setInterval(showCountdown, 1000);
stream.addEventListener('open', () => {
    shown.view?.refresh?.();
    learnCaller().then((agent) => {
        if (!agent)
            return;
        letIn = !hasToken();
        showToken();
        retext(document.getElementById('host'), agent.host);
        document.title = visible(`${agent.host} · stage-agent`);
    });
});
countStuck(document.getElementById('stuck-count'), stream);

document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault(); // the address names the page
    main.focus();
});
document.addEventListener('keydown', (event) => {
    const typing = event.target.matches('input, textarea, select') || event.target.closest('dialog');
    if (event.key === '?' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        showKeys();
    }
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        const search = main.querySelector('input[type=search]');
        search?.focus();
        if (search)
            event.preventDefault();
    }
});

/** Opens a session if the address has a code, which must not stay in it: it would be in the history. */
async function takeCode() {
    const code = location.hash.match(/^#code=([\w-]+)$/)?.[1];
    if (!code)
        return;
    history.replaceState(null, '', location.pathname + location.search);
    try {
        await openSession(code);
    } catch (error) {
        isShowable(error); // a refused code has opened the dialog
    }
    showToken();
}

window.addEventListener('hashchange', async () => {
    if (location.hash.startsWith('#code=')) {
        await takeCode();
        await learnCaller();
        shown.key = null;
        stream.start();
    }
    show();
});
await takeCode();
await learnCaller(); // what he may do decides what the pages offer
show();
stream.start();

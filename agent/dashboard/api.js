// Requests to the agent that serves this page.

const tokenKey = 'stage-agent-token';

/** An error from the agent; status 0 if it did not answer. */
export class ApiError extends Error {
    constructor(status, code, message) {
        super(message);
        this.status = status;
        this.code = code;
    }
}

/** Returns whether the error is to be shown: true for ApiError, false for an abort. Rethrows others, which are bugs. */
export function isShowable(error) {
    if (error.name === 'AbortError')
        return false;
    if (error instanceof ApiError)
        return true;
    throw error;
}

/** Dispatches `unauthorized` with the agent's code when it requires a token or refuses the current one. */
export const session = new EventTarget();

/** The token is kept per tab, until it is closed. */
export function useToken(token) {
    if (token)
        sessionStorage.setItem(tokenKey, token);
    else
        sessionStorage.removeItem(tokenKey);
}

// In the order of the agent's: each may what those before it may.
const roles = ['read', 'run', 'operate', 'admin'];
let caller = null;

/** Returns whether the agent lets this page do what needs that role; true until learnCaller() has asked. */
export function may(role) {
    return caller === null || roles.indexOf(caller.role) >= roles.indexOf(role);
}

/** Asks the agent what it is and who asks. Returns null if it does not answer, or not to this token. */
export async function learnCaller() {
    try {
        const agent = await getJson('/api/agent');
        caller = agent.caller;
        return agent;
    } catch (error) {
        isShowable(error); // what the page asks for next shows it
        return null;
    }
}

export function hasToken() {
    return sessionStorage.getItem(tokenKey) !== null;
}

async function refusal(response) {
    let failure;
    try {
        const { error } = await response.json();
        failure = new ApiError(response.status, error.code, error.message);
    } catch {
        failure = new ApiError(response.status, 'unknown', `the agent answered ${response.status}`);
    }
    if (response.status === 401)
        session.dispatchEvent(new CustomEvent('unauthorized', { detail: failure.code }));
    return failure;
}

/** Awaits a part of an answer; an error in it means that the connection failed. */
async function answered(part) {
    try {
        return await part;
    } catch (error) {
        if (error.name === 'AbortError')
            throw error;
        throw new ApiError(0, 'no_answer', 'the agent does not answer');
    }
}

// The agent may be below a path (http.base_path), and the page with it.
const base = new URL('.', document.baseURI).pathname;

/** Returns where a path of the API, as `/api/runs`, is for the browser. */
export function addressOf(path) {
    return base + path.slice(1);
}

/** Returns the path of the API that a Link header of an answer names as the next; undefined if none. */
export function nextOf(response) {
    const link = /<([^>]*)>; rel="next"/.exec(response.headers.get('Link') ?? '')?.[1];
    return link && '/' + link.slice(base.length);
}

/** Returns the response once its head has arrived. Errors: ApiError unless it is a success; AbortError. */
export async function request(method, path, { body, headers = {}, signal } = {}) {
    const token = sessionStorage.getItem(tokenKey);
    const all = { ...headers };
    if (token)
        all.Authorization = `Bearer ${token}`;
    if (body !== undefined)
        all['Content-Type'] = 'application/json';
    const response = await answered(fetch(addressOf(path), {
        method, headers: all, signal, cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body),
    }));
    if (!response.ok)
        throw await refusal(response);
    return response;
}

export async function getJson(path, options) {
    const response = await request('GET', path, options);
    return answered(response.json());
}

/** Exchanges a code of `stagectl dashboard` for a session of this tab. Errors: ApiError 401 if it is no longer good. */
export async function openSession(code) {
    useToken('');
    const response = await request('POST', '/api/dashboard/sessions', { body: { code } });
    useToken((await answered(response.json())).token);
}

/** Returns a stage's detail view, which includes its version. */
export function stageDetail(id, options) {
    return getJson(`/api/stages/${id}`, options);
}

/** Errors: ApiError 409 if the change is not possible, 412 if the stage changed since it was shown. */
export function patchStage(stage, body) {
    return request('PATCH', `/api/stages/${stage.id}`, { body, headers: { 'If-Match': `"${stage.version}"` } });
}

/** Returns the current services by id. */
export async function servicesById(options) {
    const services = await getJson('/api/services', options);
    return new Map(services.map((service) => [service.id, service]));
}

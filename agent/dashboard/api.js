// Requests to the agent this page came from.

const tokenKey = 'stage-agent-token';

/** What the agent answered instead, or that it did not answer (status 0). */
export class ApiError extends Error {
    constructor(status, code, message) {
        super(message);
        this.status = status;
        this.code = code;
    }
}

/** Whether there is something to tell a person: not when nobody waits for the answer any more. Throws what is our own mistake. */
export function tellable(error) {
    if (error.name === 'AbortError')
        return false;
    if (error instanceof ApiError)
        return true;
    throw error;
}

/** Says `unauthorized` when the agent wants a token, or another one. */
export const session = new EventTarget();

/** The token lives as long as the tab does, and no other tab sees it. */
export function useToken(token) {
    if (token)
        sessionStorage.setItem(tokenKey, token);
    else
        sessionStorage.removeItem(tokenKey);
}

export function hasToken() {
    return sessionStorage.getItem(tokenKey) !== null;
}

async function refusal(response) {
    if (response.status === 401)
        session.dispatchEvent(new Event('unauthorized'));
    try {
        const { error } = await response.json();
        return new ApiError(response.status, error.code, error.message);
    } catch {
        return new ApiError(response.status, 'unknown', `the agent answered ${response.status}`);
    }
}

/** Waits for a part of an answer: what breaks then is the connection. */
async function answered(part) {
    try {
        return await part;
    } catch (error) {
        if (error.name === 'AbortError')
            throw error;
        throw new ApiError(0, 'no_answer', 'the agent does not answer');
    }
}

/** The response, once its head is there. Errors: ApiError for all that is no success; an abort as it is. */
export async function request(method, path, { body, headers = {}, signal } = {}) {
    const token = sessionStorage.getItem(tokenKey);
    const all = { ...headers };
    if (token)
        all.Authorization = `Bearer ${token}`;
    if (body !== undefined)
        all['Content-Type'] = 'application/json';
    const response = await answered(fetch(path, {
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

/** A stage in detail; it carries its version. */
export function stageDetail(id, options) {
    return getJson(`/api/stages/${id}`, options);
}

/** Errors: ApiError 409 when the change is not possible, 412 when the stage is no longer as it was shown. */
export function patchStage(stage, body) {
    return request('PATCH', `/api/stages/${stage.id}`, { body, headers: { 'If-Match': `"${stage.version}"` } });
}

/** id → name of the services this host knows now. */
export async function serviceNames(options) {
    const services = await getJson('/api/services', options);
    return new Map(services.map((service) => [service.id, service.name]));
}

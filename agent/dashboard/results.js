// What a stage left: its files, and what its test reports say. Loaded when one of their tabs is opened.
import { addressOf, getJson, hasToken, isShowable, request } from './api.js';
import { el, problem, refill } from './dom.js';
import { toast } from './toast.js';
import { bytesWords, countWords, durationWords, testsWords } from './words.js';

// More children of a folder, and more failures, come on demand.
const shownAtOnce = 200;
const previewBytes = 65_536;
const mostImageBytes = 20 * 1024 * 1024;
// What a tab has to hold in memory to save it; stagectl has no such limit.
const mostSavedBytes = 512 * 1024 * 1024;
const images = /\.(png|jpe?g|gif|webp)$/i;

if (!document.querySelector('link[data-of=results]'))
    document.head.append(el('link', { rel: 'stylesheet', href: addressOf('/dashboard/results.css'), 'data-of': 'results' }));

function fileAddress(stage, path) {
    return `/api/stages/${stage.id}/artifacts?path=${encodeURIComponent(path)}`;
}

/** Appends what `draw` makes of the elements, some at once and a button for more. */
function appendSome(root, elements, draw) {
    const append = (from) => {
        root.append(...elements.slice(from, from + shownAtOnce).map(draw));
        const left = elements.length - from - shownAtOnce;
        if (left <= 0)
            return;
        const more = el('li', { class: 'more' }, el('button', { type: 'button', onclick: () => {
            const first = root.children.length - 1;
            more.remove();
            append(from + shownAtOnce);
            root.children[first]?.querySelector('button, summary')?.focus();
        } }, `Show ${Math.min(left, shownAtOnce).toLocaleString('en')} more of ${left.toLocaleString('en')}`));
        root.append(more);
    };
    append(0);
}

/** Has the browser save what an address of the API answers with, under this name. */
async function save(path, name, signal) {
    const link = el('a', { download: name, href: addressOf(path) });
    if (hasToken()) // a link can't carry it
        link.href = URL.createObjectURL(await (await request('GET', path, { signal })).blob());
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Returns a button that saves; where it would be too much for a tab, how else to get it. */
function saveButton(words, bytes, path, name, command, signal) {
    if (hasToken() && bytes > mostSavedBytes)
        return el('span', { class: 'hint' }, `${words}: `, el('code', {}, command));
    const button = el('button', { type: 'button', onclick: async () => {
        button.disabled = true;
        try {
            await save(path, name, signal);
        } catch (error) {
            if (isShowable(error))
                toast(error.message);
        }
        button.disabled = false;
    } }, words);
    return button;
}

/** The folders and files of a list, each folder with the number and size of all that is below it. */
function treeOf(files) {
    const root = { folders: new Map(), files: [], count: 0, size: 0 };
    for (const file of files) {
        const parts = file.path.split('/');
        let folder = root;
        for (const part of parts.slice(0, -1)) {
            folder.count += 1;
            folder.size += file.size;
            if (!folder.folders.has(part))
                folder.folders.set(part, { folders: new Map(), files: [], count: 0, size: 0 });
            folder = folder.folders.get(part);
        }
        folder.count += 1;
        folder.size += file.size;
        folder.files.push({ ...file, name: parts.at(-1) });
    }
    return root;
}

class FileTree {
    #stage;
    #signal;
    #preview = el('section', { class: 'preview', 'aria-label': 'Preview', hidden: true });

    constructor(stage, signal) {
        this.#stage = stage;
        this.#signal = signal;
    }

    draw(root, files) {
        const tree = treeOf(files);
        const list = el('ul', { class: 'tree' });
        this.#fill(list, tree);
        const stage = this.#stage;
        refill(root, el('div', { class: 'toolbar' },
            el('span', { class: 'count' }, `${countWords(files.length, 'file', 'files')}, ${bytesWords(tree.size)}`),
            saveButton('Save all of the run', tree.size, `/api/runs/${stage.runId}/artifacts.tar.zst`, `artifacts-${stage.runId.slice(0, 8)}.tar.zst`,
                `stagectl artifacts ${stage.runId.slice(0, 8)} --get '**'`, this.#signal)),
        el('div', { class: 'files' }, list, this.#preview));
    }

    #fill(list, folder) {
        appendSome(list, [...[...folder.folders].map(([name, below]) => ({ name, below })), ...folder.files],
            (one) => (one.below ? this.#folder(one.name, one.below, folder) : this.#file(one)));
    }

    #folder(name, below, parent) {
        const list = el('ul', {});
        const details = el('details', {}, el('summary', {}, el('span', { class: 'name' }, `${name}/`),
            el('span', { class: 'hint' }, `${countWords(below.count, 'file', 'files')}, ${bytesWords(below.size)}`)), list);
        let filled = false;
        const fillOnce = () => {
            if (!filled && details.open)
                this.#fill(list, below);
            filled ||= details.open;
        };
        details.addEventListener('toggle', fillOnce);
        if (parent.folders.size + parent.files.length === 1) { // the only one
            details.open = true;
            fillOnce();
        }
        return el('li', {}, details);
    }

    #file(file) {
        const button = el('button', { type: 'button', class: 'file', 'aria-pressed': 'false', onclick: () => this.#show(file, button) },
            el('span', { class: 'name' }, file.name), el('span', { class: 'hint' }, bytesWords(file.size)));
        return el('li', {}, button);
    }

    async #show(file, button) {
        document.querySelector('.file[aria-pressed=true]')?.setAttribute('aria-pressed', 'false');
        button.setAttribute('aria-pressed', 'true');
        const stage = this.#stage;
        const content = el('div', { class: 'content', tabindex: 0, role: 'region', 'aria-label': file.name });
        this.#preview.hidden = false;
        refill(this.#preview,
            el('div', { class: 'title' }, el('h3', {}, file.path),
                saveButton('Save', file.size, fileAddress(stage, file.path), file.name, `stagectl artifacts ${stage.id.slice(0, 8)} --get '${file.path}'`, this.#signal)),
            el('p', { class: 'hint' }, `${bytesWords(file.size)}, mode ${file.mode}, SHA-256 `, el('code', {}, file.sha256)),
            content);
        try {
            refill(content, await this.#contentOf(file));
        } catch (error) {
            if (isShowable(error))
                refill(content, problem(error));
        }
    }

    async #contentOf(file) {
        const address = fileAddress(this.#stage, file.path);
        if (images.test(file.name) && file.size <= mostImageBytes) {
            const image = await pictureOf(await request('GET', address, { signal: this.#signal }), file.name);
            if (image)
                return image;
        }
        if (file.size === 0)
            return el('p', { class: 'hint' }, 'Empty.');
        const response = await request('GET', address, { signal: this.#signal, headers: { Range: `bytes=0-${previewBytes - 1}` } });
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (bytes.includes(0))
            return el('p', { class: 'hint' }, 'No text.');
        const text = new TextDecoder().decode(bytes);
        return [el('pre', {}, text), file.size > bytes.length && el('p', { class: 'hint' }, `The first ${bytesWords(bytes.length)} of ${bytesWords(file.size)}.`)];
    }
}

/** Returns the image as drawn: its bytes become nothing that the page would load. Null where it is none. */
async function pictureOf(response, name) {
    let bitmap;
    try {
        bitmap = await createImageBitmap(await response.blob());
    } catch {
        return null;
    }
    const canvas = el('canvas', { width: bitmap.width, height: bitmap.height, role: 'img', 'aria-label': `${name}, ${bitmap.width} × ${bitmap.height}` });
    canvas.getContext('2d').drawImage(bitmap, 0, 0);
    bitmap.close();
    return canvas;
}

/** Draws the files that the stage left into `root`. */
export async function drawFiles(root, stage, signal) {
    try {
        new FileTree(stage, signal).draw(root, await getJson(`/api/stages/${stage.id}/artifacts`, { signal }));
    } catch (error) {
        if (isShowable(error))
            refill(root, problem(error));
    }
}

function failureOf(failure) {
    const group = failure.class || failure.suite;
    const place = failure.file + (failure.line > 0 ? `:${failure.line}` : '');
    return el('li', { class: 'failure' },
        el('details', {},
            el('summary', {}, el('strong', {}, [group, failure.name].filter(Boolean).join(' ')),
                failure.kind === 'error' && el('span', { class: 'hint' }, 'error'),
                place && el('code', { class: 'hint' }, place),
                failure.durationMs > 0 && el('span', { class: 'hint' }, durationWords(failure.durationMs)),
                failure.message && el('span', { class: 'reason' }, failure.message)),
            failure.details ? el('pre', { tabindex: 0, 'aria-label': 'Details' }, failure.details) : el('p', { class: 'hint' }, 'The report has no more.')));
}

/** Draws what the stage's test reports say into `root`. */
export async function drawTests(root, stage, signal) {
    let results;
    try {
        results = (await getJson(`/api/runs/${stage.runId}/tests`, { signal })).stages.find((each) => each.stageId === stage.id);
    } catch (error) {
        if (isShowable(error))
            refill(root, problem(error));
        return;
    }
    if (!results) {
        refill(root, el('p', { class: 'empty' }, 'No test reports.'));
        return;
    }
    const list = el('ul', { class: 'failures' });
    appendSome(list, results.failures, failureOf);
    refill(root,
        el('p', { class: 'count' }, testsWords(results), results.durationMs !== null && `, ${durationWords(results.durationMs)}`,
            results.files !== null && `, from ${countWords(results.files, 'report', 'reports')}`),
        list,
        results.refused.length > 0 && el('ul', { class: 'refused' }, results.refused.map(({ file, why }) => el('li', {}, 'Not read: ', el('code', {}, file), ` ${why}`))),
        results.truncated && el('p', { class: 'hint' }, 'Not all is shown: the reports have more.'));
}

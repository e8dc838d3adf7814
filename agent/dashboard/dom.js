// Elements and icons. Text is always inserted as text nodes: the dashboard never parses markup.

const svgSpace = 'http://www.w3.org/2000/svg';

// What changes the direction or the place of text, or can't be seen; agent/model/Characters.cpp has the same ranges.
const deceptive = new RegExp('[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5'
    + '\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb'
    + '\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e007f}\\u{e0100}-\\u{e01ef}]', 'gu');

/** Returns the text with characters that could mislead its reader as `<U+202E>`; newlines and tabs stay. */
export function visible(text) {
    return text.replace(deceptive, (c) => `<U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}>`);
}

function shown(value) {
    return typeof value === 'string' ? visible(value) : value;
}

/** Flattens nested lists and drops empty children, which conditions leave. */
function flattened(children) {
    return children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== '')
        .map(shown);
}

// The attributes whose text people read.
const read = ['title', 'aria-label', 'alt', 'placeholder'];

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === undefined || value === null || value === false)
            continue;
        if (name.startsWith('on'))
            element.addEventListener(name.slice(2), value);
        else
            element.setAttribute(name, value === true ? '' : read.includes(name) ? shown(value) : value);
    }
    element.append(...flattened(children));
    return element;
}

/** Returns an element with attributes (`on…` are listeners) and children; null ones are dropped. */
export function el(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

/** Replaces the children of an element. */
export function refill(element, ...children) {
    element.replaceChildren(...flattened(children));
}

/** Sets the text only if it differs, which keeps selections and clicks in progress. */
export function retext(element, text) {
    const wanted = visible(String(text));
    if (element.textContent !== wanted)
        element.textContent = wanted;
}

export function svg(tag, attributes, ...children) {
    return fill(document.createElementNS(svgSpace, tag), attributes, children);
}

// A shape per status, so that none depends on colour alone.
const shapes = {
    IDLE: () => [svg('circle', { cx: 8, cy: 8, r: 5.5, class: 'ring' })],
    IN_PROGRESS: () => [
        svg('circle', { cx: 8, cy: 8, r: 5.5, class: 'ring' }),
        svg('path', { d: 'M8 4.5 A3.5 3.5 0 0 1 8 11.5 Z', class: 'solid' })],
    AWAITING_APPROVAL: () => [
        svg('rect', { x: 3.5, y: 3, width: 3, height: 10, rx: 1, class: 'solid' }),
        svg('rect', { x: 9.5, y: 3, width: 3, height: 10, rx: 1, class: 'solid' })],
    SUCCESS: () => [svg('path', { d: 'M2.5 8.5 L6.3 12.2 L13.5 4', class: 'stroke' })],
    SKIPPED: () => [svg('path', { d: 'M3 8 L13 8', class: 'stroke' })],
    FAILURE: () => [svg('path', { d: 'M3.5 3.5 L12.5 12.5 M12.5 3.5 L3.5 12.5', class: 'stroke' })],
};

/** Returns the icon of a status, to be shown beside its text. */
export function picture(status) {
    return svg('svg', { viewBox: '0 0 16 16', class: 'picture', 'aria-hidden': 'true' }, ...shapes[status]());
}

/** Returns `children` as a link to where the forge shows `value`; as they are if the service does not say where. */
export function forgeLink(address, value, ...children) {
    const href = address?.replace(/\{\w+\}/, () => String(value).split('/').map(encodeURIComponent).join('/'));
    return href ? el('a', { href, target: '_blank', rel: 'noopener noreferrer' }, ...children) : children;
}

/** Returns an error as an alert. */
export function problem(error) {
    return el('p', { role: 'alert', class: 'problem' }, error.message);
}

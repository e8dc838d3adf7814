// Elements and pictures. Text is always text: nothing in this dashboard reads markup.

const svgSpace = 'http://www.w3.org/2000/svg';

/** Children as they are given: nested lists, and nothing where a condition did not hold. */
function real(children) {
    return children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== '');
}

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === undefined || value === null || value === false)
            continue;
        if (name.startsWith('on'))
            element.addEventListener(name.slice(2), value);
        else
            element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...real(children));
    return element;
}

/** An element with attributes (`onclick` and the like are listeners) and children; null ones are left out. */
export function el(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

/** Puts other children into an element. */
export function refill(element, ...children) {
    element.replaceChildren(...real(children));
}

/** Says something else, where it is something else: what a person has selected or presses stays. */
export function retext(element, text) {
    if (element.textContent !== text)
        element.textContent = text;
}

function svg(tag, attributes, ...children) {
    return fill(document.createElementNS(svgSpace, tag), attributes, children);
}

// One shape a status, so that none is told by its colour alone.
const shapes = {
    IDLE: () => [svg('circle', { cx: 8, cy: 8, r: 5.5, class: 'ring' })],
    IN_PROGRESS: () => [
        svg('circle', { cx: 8, cy: 8, r: 5.5, class: 'ring' }),
        svg('path', { d: 'M8 4.5 A3.5 3.5 0 0 1 8 11.5 Z', class: 'solid' })],
    AWAITING_APPROVAL: () => [
        svg('rect', { x: 3.5, y: 3, width: 3, height: 10, rx: 1, class: 'solid' }),
        svg('rect', { x: 9.5, y: 3, width: 3, height: 10, rx: 1, class: 'solid' })],
    SUCCESS: () => [svg('path', { d: 'M2.5 8.5 L6.3 12.2 L13.5 4', class: 'stroke' })],
    FAILURE: () => [svg('path', { d: 'M3.5 3.5 L12.5 12.5 M12.5 3.5 L3.5 12.5', class: 'stroke' })],
};

/** The picture of a status; what it says stands beside it in words. */
export function picture(status) {
    return svg('svg', { viewBox: '0 0 16 16', class: 'picture', 'aria-hidden': 'true' }, ...shapes[status]());
}

/** Puts what was thrown where a person sees it. */
export function problem(error) {
    return el('p', { role: 'alert', class: 'problem' }, error.message);
}

// A log line as elements: its colours, but no other terminal control.
import { el, visible } from './dom.js';

// Longer lines are cut; the saved log has them in full.
const maxCharacters = 4000;

/** Replaces control characters by their pictures, which are shorter, and bidirectional ones as elsewhere. */
function shown(text) {
    return visible(text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g,
        (c) => String.fromCharCode(c === '\x7f' ? 0x2421 : 0x2400 + c.charCodeAt(0))));
}

/** Returns the nearest of the 16 named colours, which the style sheet keeps readable in light and dark mode. */
function named(colour, palette) {
    if (colour.class_name !== 'truecolor')
        return colour.class_name;
    const distance = (other) => other.rgb.reduce((sum, part, i) => sum + (part - colour.rgb[i]) ** 2, 0);
    return palette.reduce((best, other) => (distance(other) < distance(best) ? other : best)).class_name;
}

/** Returns the parts of a line with their classes. */
function fragments(line) {
    const parser = new AnsiUp();
    const found = [];
    // Collects the fragments instead of generating markup.
    parser.transform_to_html = (fragment) => { found.push(fragment); return ''; };
    parser.process_hyperlink = (packet) => { found.push(parser.with_state(packet)); return ''; };
    parser.ansi_to_html(line);
    const palette = parser.palette_256.slice(0, 16);
    return found.map(({ text, bold, italic, underline, fg, bg }) => ({
        text,
        classes: [bold && 'bold', italic && 'italic', underline && 'underline',
            bg ? `${named(bg, palette)}-bg` : fg && `${named(fg, palette)}-fg`].filter(Boolean).join(' '),
    }));
}

function marked(text, wanted) {
    if (!wanted)
        return [text];
    const nodes = [];
    const lower = text.toLowerCase();
    let at = 0;
    for (let found = lower.indexOf(wanted); found >= 0; found = lower.indexOf(wanted, at)) {
        nodes.push(text.slice(at, found), el('mark', {}, text.slice(found, found + wanted.length)));
        at = found + wanted.length;
    }
    nodes.push(text.slice(at));
    return nodes;
}

// No other schemes, and no character that could mislead.
const address = /https?:\/\/[\x21-\x7e]+/g;

/** Returns the text with its addresses as links. */
function linked(text) {
    const nodes = [];
    let at = 0;
    for (const found of text.matchAll(address)) {
        const url = found[0].replace(/[.,;:!?'"`)\]}>]+$/, '');
        nodes.push(text.slice(at, found.index), el('a', { href: url, target: '_blank', rel: 'noopener noreferrer', tabindex: -1 }, url));
        at = found.index + url.length;
    }
    nodes.push(text.slice(at));
    return nodes;
}

/** Returns the nodes of a line; matches of `wanted` (lower case) within one colour are marked. */
export function lineNodes(message, wanted = '') {
    // Of an overwritten line (`\r`), what a terminal would show last.
    let line = message.replace(/\r+$/, '');
    line = line.slice(line.lastIndexOf('\r') + 1);
    const cut = line.length - maxCharacters;
    if (cut > 0)
        line = line.slice(0, maxCharacters);
    const parts = line.includes('\x1b') ? fragments(line) : [{ text: line, classes: '' }];
    const nodes = parts.flatMap(({ text, classes }) => {
        const inside = wanted ? marked(shown(text), wanted) : linked(shown(text));
        return classes ? [el('span', { class: classes }, ...inside)] : inside;
    });
    return cut > 0 ? [...nodes, el('i', {}, ` … ${cut} more characters`)] : nodes;
}

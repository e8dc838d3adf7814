// A line of a log as elements: its colours, and nothing else that it may ask of a terminal.
import { el } from '/dashboard/dom.js';

// The rest of a longer line is in the whole log.
const mostCharacters = 4000;

/** Control characters, and those that turn the direction of text, as a mark that can be seen. */
function visible(text) {
    return text
        .replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (c) => String.fromCharCode(c === '\x7f' ? 0x2421 : 0x2400 + c.charCodeAt(0)))
        .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}

/** The nearest of the sixteen named colours: the style sheet makes those readable, in the light and in the dark. */
function named(colour, palette) {
    if (colour.class_name !== 'truecolor')
        return colour.class_name;
    const distance = (other) => other.rgb.reduce((sum, part, i) => sum + (part - colour.rgb[i]) ** 2, 0);
    return palette.reduce((best, other) => (distance(other) < distance(best) ? other : best)).class_name;
}

/** The parts of a line: text with what is on there. */
function fragments(line) {
    const parser = new AnsiUp();
    const found = [];
    // Instead of markup, what the markup would be made of.
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

/** The nodes of a line; `wanted`, in lower case, is marked where it stands within one colour. */
export function lineNodes(message, wanted = '') {
    // What a terminal would show of a line that was written over.
    let line = message.replace(/\r+$/, '');
    line = line.slice(line.lastIndexOf('\r') + 1);
    const cut = line.length - mostCharacters;
    if (cut > 0)
        line = line.slice(0, mostCharacters);
    const parts = line.includes('\x1b') ? fragments(line) : [{ text: line, classes: '' }];
    const nodes = parts.flatMap(({ text, classes }) => {
        const inside = marked(visible(text), wanted);
        return classes ? [el('span', { class: classes }, ...inside)] : inside;
    });
    return cut > 0 ? [...nodes, el('i', {}, ` … ${cut} more characters`)] : nodes;
}

// A message after an action, with the way on, at the foot of the page.
import { el, refill } from './dom.js';

const shownMs = 15_000;
let timer = 0;

/** Shows the message; `links` are elements that lead on. It goes away by itself, but not under the pointer or the focus. */
export function toast(words, ...links) {
    const place = document.getElementById('toast');
    refill(place, el('span', {}, words), links, el('button', { type: 'button', class: 'quiet', 'aria-label': 'Close', onclick: () => refill(place) }, '×'));
    clearTimeout(timer);
    const away = () => {
        if (place.matches(':hover, :focus-within'))
            timer = setTimeout(away, 2000);
        else
            refill(place);
    };
    timer = setTimeout(away, shownMs);
}

// A virtual list: only visible rows have elements.
import { el } from './dom.js';

// Browsers limit the height of an element; a longer list is scrolled to scale.
const mostPixels = 8_000_000;
const overscan = 8;

export class WindowedList {
    #rows = new Map();
    #position = 0; // the row at the upper edge, with a fraction
    #lastTop = 0;
    #settle = 0;
    #frame = 0;
    #expected = -1;
    #shown = false;

    /**
     * `row(index, element)` fills and returns a row's element, a new one if none is given. `inSight(first, last)` is
     * called with the visible rows, `scrolled()` when the user scrolled, `resized()` when the size changed.
     */
    constructor({ scroller, body, rowHeight, row, inSight = () => {}, scrolled = () => {}, resized = () => {} }) {
        this.scroller = scroller;
        this.body = body ?? el('div');
        this.body.classList.add('window');
        scroller.append(this.body);
        this.rowHeight = rowHeight;
        this.count = 0;
        this.row = row;
        this.inSight = inSight;
        this.scrolled = scrolled;
        scroller.addEventListener('scroll', () => this.#onScroll(), { passive: true });
        // A hidden list loses its scroll position.
        new ResizeObserver(() => {
            this.#shown = scroller.clientHeight > 0;
            if (!this.#shown)
                return;
            this.#follow();
            this.draw();
            resized();
        }).observe(scroller);
    }

    get visible() { return this.scroller.clientHeight / this.rowHeight; }
    get first() { return this.#position; }
    get #mostPosition() { return Math.max(0, this.count - this.visible); }
    get #height() { return Math.min(mostPixels, this.count * this.rowHeight); }
    get #mostTop() { return Math.max(0, this.#height - this.scroller.clientHeight); }
    get #toScale() { return this.count * this.rowHeight <= mostPixels; }

    atEnd() { return this.#position >= this.#mostPosition - 1; }

    resize(count) {
        this.count = count;
        this.body.style.height = `${this.#height}px`;
        this.draw();
    }

    setRowHeight(height) {
        this.rowHeight = height;
        this.#rows.forEach((element) => element.remove());
        this.#rows.clear();
        this.resize(this.count);
    }

    /** Scrolls a row to the top, or below it by `share` of the height. */
    scrollTo(index, share = 0) {
        this.#place(index - share * this.visible);
    }

    /** Scrolls a row into view, no further than needed. */
    reveal(index) {
        if (index < this.#position)
            this.#place(index);
        else if (index + 1 > this.#position + this.visible)
            this.#place(index + 1 - this.visible);
    }

    toEnd() { this.#place(this.#mostPosition); }

    elementOf(index) { return this.#rows.get(index); }

    /** Redraws all visible rows. */
    refresh() {
        for (const [index, element] of this.#rows)
            if (index < this.count)
                this.row(index, element);
        this.draw();
    }

    /** Creates the visible rows and removes the others. */
    draw() {
        this.#position = Math.max(0, Math.min(this.#position, this.#mostPosition));
        const first = Math.max(0, Math.floor(this.#position) - overscan);
        const last = Math.min(this.count - 1, Math.ceil(this.#position + this.visible) + overscan);
        for (const [index, element] of this.#rows)
            if (index < first || index > last) {
                element.remove();
                this.#rows.delete(index);
            }
        const base = this.#toScale ? 0 : this.scroller.scrollTop - this.#position * this.rowHeight;
        for (let index = first; index <= last; ++index) {
            let element = this.#rows.get(index);
            if (!element) {
                element = this.row(index);
                this.#rows.set(index, element);
                this.#insert(index, element);
            }
            element.style.transform = `translateY(${base + index * this.rowHeight}px)`;
        }
        this.inSight(Math.floor(this.#position), Math.min(this.count - 1, Math.ceil(this.#position + this.visible)));
    }

    /** Keeps rows in document order, for screen readers. */
    #insert(index, element) {
        const next = this.#rows.get(index + 1);
        if (next)
            next.before(element);
        else
            this.body.append(element);
    }

    #place(position) {
        this.#position = Math.max(0, Math.min(position, this.#mostPosition));
        this.#follow();
        this.draw();
    }

    /** Sets the scroll bar from the position. */
    #follow() {
        const most = this.#mostPosition;
        const top = this.#toScale ? this.#position * this.rowHeight
            : most > 0 ? this.#position / most * this.#mostTop : 0;
        this.scroller.scrollTop = top;
        this.#lastTop = this.#expected = this.scroller.scrollTop;
    }

    #onScroll() {
        // Delivered after the list was hidden, or before its position is restored: not by the user.
        if (!this.#shown || this.scroller.clientHeight === 0)
            return;
        const top = this.scroller.scrollTop;
        if (Math.abs(top - this.#expected) < 1) {
            this.#expected = -1;
            return; // caused by #place
        }
        this.#expected = -1;
        if (this.#toScale)
            this.#position = top / this.rowHeight;
        else if (Math.abs(top - this.#lastTop) <= 2 * this.scroller.clientHeight)
            this.#position += (top - this.#lastTop) / this.rowHeight; // wheel and touch scroll by lines
        else
            this.#position = top / this.#mostTop * this.#mostPosition; // the bar was dragged
        this.#lastTop = top;
        this.scrolled();
        cancelAnimationFrame(this.#frame);
        this.#frame = requestAnimationFrame(() => this.draw());
        if (this.#toScale)
            return;
        clearTimeout(this.#settle);
        this.#settle = setTimeout(() => { this.#follow(); this.draw(); }, 200);
    }
}

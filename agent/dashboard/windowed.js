// A list of any length, of which only the rows in sight exist.
import { el } from '/dashboard/dom.js';

// Browsers can't lay out much more; a longer list is scrolled to scale.
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
     * `row(index, element)` fills and gives back the element of a row, a new one where none is given.
     * `inSight(first, last)` is told which rows show, `scrolled()` that the person moved the list, `resized()` that
     * there is more or less room.
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
        // One that was hidden meanwhile has forgotten where it was scrolled to.
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

    /** Brings a row to the upper edge, or moved down by `share` of the height. */
    scrollTo(index, share = 0) {
        this.#place(index - share * this.visible);
    }

    /** Brings a row into sight, moving no further than needed. */
    reveal(index) {
        if (index < this.#position)
            this.#place(index);
        else if (index + 1 > this.#position + this.visible)
            this.#place(index + 1 - this.visible);
    }

    toEnd() { this.#place(this.#mostPosition); }

    elementOf(index) { return this.#rows.get(index); }

    /** Fills all rows in sight anew. */
    refresh() {
        for (const [index, element] of this.#rows)
            if (index < this.count)
                this.row(index, element);
        this.draw();
    }

    /** Makes the rows in sight exist, and no others. */
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

    /** In the document rows stand in their order, for those who have it read to them. */
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

    /** Puts the scroll bar where the position is. */
    #follow() {
        const most = this.#mostPosition;
        const top = this.#toScale ? this.#position * this.rowHeight
            : most > 0 ? this.#position / most * this.#mostTop : 0;
        this.scroller.scrollTop = top;
        this.#lastTop = this.#expected = this.scroller.scrollTop;
    }

    #onScroll() {
        // Told of only after the list was hidden, or before it has its place back: nobody moved it.
        if (!this.#shown || this.scroller.clientHeight === 0)
            return;
        const top = this.scroller.scrollTop;
        if (Math.abs(top - this.#expected) < 1) {
            this.#expected = -1;
            return; // our own doing
        }
        this.#expected = -1;
        if (this.#toScale)
            this.#position = top / this.rowHeight;
        else if (Math.abs(top - this.#lastTop) <= 2 * this.scroller.clientHeight)
            this.#position += (top - this.#lastTop) / this.rowHeight; // a wheel or a finger moves by lines
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

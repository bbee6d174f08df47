import { lastRows, rangeOf, RowHeights, type RowRange } from './row-window.ts'

/** Nearer to the end than this, the list follows what is written; in CSS pixels. */
const NEAR_END = 60
/** The list is drawn anew when it was scrolled this far. */
const STEP = 250

interface Anchor {
  key: string
  /** Its distance from the top of the list. */
  top: number
}

/**
 * Draws the part of a long list that is seen, and holds what the reader looks at in its place while rows around it get
 * their size, are added above, or grow.
 */
export class Scroller {
  /** True while the end is in view: then it stays so. */
  follow = true
  readonly #heights = new RowHeights()
  readonly #root: ParentNode
  readonly #changed: () => void
  readonly #observed = new Set<Element>()
  readonly #sizes = new ResizeObserver((entries) => this.#measured(entries))
  #planned = 0
  #range: RowRange = { start: 0, end: 0, before: 0, after: 0 }
  #anchor: Anchor | null = null
  /** Where the list stood when it was scrolled last, by whomever. */
  #top = 0
  #width = 0
  #height = 0

  /** `changed` asks for the list to be drawn again. */
  constructor(root: ParentNode, changed: () => void) {
    this.#root = root
    this.#changed = changed
  }

  /** Before the list is drawn: which rows to draw. */
  plan(keys: readonly string[]): RowRange {
    const list = this.list
    const rows = list?.querySelector<HTMLElement>('.rows')
    const height = list?.clientHeight || 800
    if (!list || !rows || this.follow) {
      this.#anchor = null
      this.#range = lastRows(keys, this.#heights, height)
    } else {
      this.#anchor = this.#firstSeen(list)
      this.#planned = list.scrollTop
      const top = list.scrollTop - rows.offsetTop
      this.#range = rangeOf(keys, this.#heights, { top, height })
    }
    return this.#range
  }

  /** After the list was drawn. */
  settle(): void {
    const list = this.list
    if (!list) return
    setHeight(list.querySelector<HTMLElement>('.before'), this.#range.before)
    setHeight(list.querySelector<HTMLElement>('.after'), this.#range.after)
    // With a panel that opens below, or a long draft, the list itself changes its height.
    const drawn = new Set([list, ...list.querySelectorAll('.rows > .row')])
    for (const row of this.#observed) {
      if (drawn.has(row)) continue
      this.#sizes.unobserve(row)
      this.#observed.delete(row)
    }
    for (const row of drawn) {
      if (this.#observed.has(row)) continue
      this.#sizes.observe(row)
      this.#observed.add(row)
    }
    this.#hold(list)
  }

  readonly onScroll = () => {
    const list = this.list
    if (!list) return
    const { scrollTop } = list
    if (list.scrollHeight - scrollTop - list.clientHeight < NEAR_END) this.follow = true
    // What grows and a list that gets lower take the end away without a reader who went up.
    else if (scrollTop < this.#top) this.follow = false
    this.#top = scrollTop
    if (Math.abs(list.scrollTop - this.#planned) > STEP) this.#changed()
  }

  get list(): HTMLElement | null {
    return this.#root.querySelector<HTMLElement>('.list')
  }

  disconnect(): void {
    this.#sizes.disconnect()
    this.#observed.clear()
  }

  #hold(list: HTMLElement): void {
    if (this.follow) {
      this.#toEnd(list)
      this.#planned = list.scrollTop
      return
    }
    if (!this.#anchor) return
    const { key, top } = this.#anchor
    const row = [...list.querySelectorAll<HTMLElement>('.rows > .row')].find(
      (one) => one.dataset['key'] === key,
    )
    if (row) list.scrollTop += row.getBoundingClientRect().top - list.getBoundingClientRect().top - top
  }

  #toEnd(list: HTMLElement): void {
    list.scrollTop = list.scrollHeight
    this.#top = list.scrollTop
  }

  #firstSeen(list: HTMLElement): Anchor | null {
    const edge = list.getBoundingClientRect().top
    for (const row of list.querySelectorAll<HTMLElement>('.rows > .row')) {
      const { top, bottom } = row.getBoundingClientRect()
      if (bottom > edge) return { key: row.dataset['key'] ?? '', top: top - edge }
    }
    return null
  }

  #measured(entries: ResizeObserverEntry[]): void {
    const list = this.list
    if (!list) return
    if (list.clientWidth !== this.#width) {
      this.#width = list.clientWidth
      this.#heights.clear()
    }
    const edge = list.getBoundingClientRect().top
    let above = 0
    for (const { target } of entries) {
      const { top, height } = target.getBoundingClientRect()
      const key = (target as HTMLElement).dataset['key']
      if (key === undefined || height === 0) continue
      const seen = this.#heights.has(key)
      const grown = this.#heights.set(key, height)
      // What was drawn already and grows out of sight pushes what is seen.
      if (seen && top + height - grown <= edge) above += grown
    }
    if (this.follow) this.#toEnd(list)
    else if (above !== 0) list.scrollTop += above
    if (list.clientHeight === this.#height) return
    this.#height = list.clientHeight
    this.#changed()
  }
}

function setHeight(space: HTMLElement | null, height: number): void {
  // By its own property: the policy of the page forbids style attributes.
  if (space) space.style.height = `${height}px`
}

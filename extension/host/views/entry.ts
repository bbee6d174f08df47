/** One row of a Loci tree, in plain data: what to show is decided without VS Code, and tested so. */
export interface Entry {
  /** Unique in its tree and the same after a refresh: VS Code keeps expansion and selection by it. */
  id: string
  label: string
  description: string
  /** Sections of the tooltip. `text` is shown as it is, never as Markdown: models and users wrote it. */
  tooltip: { heading: string; lines: string[]; text?: string }
  /** Name of a codicon. */
  icon: string
  /** What menus match in `viewItem`. */
  kind: 'agent' | 'block' | 'tool'
  /** Read aloud instead of label and description. */
  spoken: string
  /** The agent that opens in a chat when the row is chosen. */
  chat_agent_id?: string
  /** Absent: the row does not open. */
  children?: () => Entry[]
}

/** The first words of a text, on one line, cut at a word where one ends near `length`. Lines become parts of a list. */
export function firstWords(text: string, length = 60): string {
  const line = text
    .trim()
    .replaceAll(/([^\s.,:;!?])\s*\n\s*/g, '$1, ')
    .replaceAll(/\s+/g, ' ')
  if (line.length <= length) return line
  const cut = line.slice(0, length)
  const space = cut.lastIndexOf(' ')
  return `${(space > length / 2 ? cut.slice(0, space) : cut).replace(/[\s,;:.]+$/, '')}…`
}

/** Two for `Scout, Helper`, more as `Scout, Helper and 3 more`. */
export function listNames(names: readonly string[]): string {
  if (names.length <= 3) return names.join(', ')
  return `${names.slice(0, 2).join(', ')} and ${names.length - 2} more`
}

/** As people sort: without case, numbers by their value. */
export function byLabel(a: { label: string }, b: { label: string }): number {
  return a.label.localeCompare(b.label, undefined, { numeric: true, sensitivity: 'base' })
}

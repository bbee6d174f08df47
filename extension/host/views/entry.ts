import { plural, t } from '../l10n.ts'
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
  /** Theme color of the icon, where the state is to be seen. */
  color?: string
  kind: EntryKind
  /** More words for menus, which match `kind` and these in `viewItem`. */
  flags?: string[]
  /** Read aloud instead of label and description. */
  spoken: string
  /** The agent that opens in a chat when the row is chosen. */
  chat_agent_id?: string
  /** The id of the agent, block, tool, conversation, file or MCP server. */
  object_id?: string
  /** The agent that the row stands in. */
  agent_id?: string
  /** The command that the row runs when it is chosen; it gets the row. */
  opens?: string
  /** It is open at first. */
  expanded?: boolean
  /** Absent: the row does not open. */
  children?: () => Entry[] | Promise<Entry[]>
}

export type EntryKind = 'agent' | 'block' | 'tool' | 'conversation' | 'file' | 'mcp-server' | 'group'

/** Rows that stand for rows, `Tools (4)` for example. They cannot be acted on. */
export function groupRow(
  id: string,
  label: string,
  icon: string,
  description: string,
  children: () => Entry[] | Promise<Entry[]>,
): Entry {
  const spoken = description === '' ? label : `${label}, ${description}`
  return {
    id,
    label,
    description,
    tooltip: { heading: label, lines: [] },
    icon,
    kind: 'group',
    spoken,
    children,
  }
}

/** `1 tool`, `3 tools`. */
export function counted(count: number, noun: 'block' | 'tool'): string {
  return noun === 'block' ? plural(count, '{0} block', '{0} blocks') : plural(count, '{0} tool', '{0} tools')
}

/** Whether `text`, in any case, is in what the row says. An empty text is in every one. */
function matches(entry: Entry, text: string): boolean {
  const wanted = text.trim().toLowerCase()
  const said = `${entry.label} ${entry.description} ${entry.tooltip.text ?? ''}`
  return said.toLowerCase().includes(wanted)
}

/** The roots that have this text; groups (of tools) are shown with those of their rows that have it. */
export function filtered(entries: readonly Entry[], text: string): Entry[] {
  if (text === '') return [...entries]
  return entries.flatMap((entry) => {
    if (matches(entry, text) && entry.kind !== 'group') return [entry]
    if (entry.kind !== 'group' && entry.kind !== 'mcp-server') return []
    const rows = entry.children?.()
    if (!Array.isArray(rows)) return []
    const kept = rows.filter((row) => matches(row, text))
    return kept.length === 0 ? [] : [{ ...entry, id: `${entry.id}?`, expanded: true, children: () => kept }]
  })
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
  return t('{0} and {1} more', names.slice(0, 2).join(', '), names.length - 2)
}

/** As people sort: without case, numbers by their value. */
export function byLabel(a: { label: string }, b: { label: string }): number {
  return a.label.localeCompare(b.label, undefined, { numeric: true, sensitivity: 'base' })
}

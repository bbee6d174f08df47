import type { Migrated, Outcome } from '../../shared/schema/migration.ts'
import { count } from '../progress.ts'
import { bold, plain } from '../terminal.ts'

/** Problems that are told one by one; beyond this they are counted. */
const MAX_TOLD = 5_000

/** Something that is not here, or not as it was. */
export interface Problem {
  kind: string
  id: string
  name: string
  outcome: Outcome | 'note'
  reason: string
}

/** What a migration has brought, for people and for programs. */
export class Report {
  readonly from: string
  version = ''
  readonly counts: Record<string, Record<Outcome, number>> = {}
  readonly problems: Problem[] = []
  more_problems = 0
  /** Why it ended early; null when it did not. */
  stopped: string | null = null
  /** `known`: those of earlier runs, which are not asked for again. */
  messages = { added: 0, known: 0, refused: 0 }

  constructor(from: string) {
    this.from = from
  }

  add(result: Pick<Migrated, 'id' | 'name' | 'outcome' | 'notes'> & { kind: string }): void {
    this.count(result.kind, result.outcome)
    const bad = result.outcome === 'refused' || result.outcome === 'kept'
    for (const [i, note] of result.notes.entries())
      this.tell({
        ...result,
        reason: note,
        outcome: bad && i === result.notes.length - 1 ? result.outcome : 'note',
      })
  }

  count(kind: string, outcome: Outcome): void {
    const counts = (this.counts[kind] ??= { new: 0, changed: 0, same: 0, kept: 0, refused: 0 })
    counts[outcome]++
  }

  tell({ kind, id, name, outcome, reason }: Problem): void {
    if (this.problems.length < MAX_TOLD) this.problems.push({ kind, id, name, outcome, reason })
    else this.more_problems++
  }

  /** Whether everything of the old server is here. */
  get whole(): boolean {
    return (
      this.stopped === null &&
      this.messages.refused === 0 &&
      Object.values(this.counts).every(({ refused }) => refused === 0)
    )
  }

  /** One JSON document. */
  toJson(): string {
    const { from, version, stopped, counts, messages, problems, more_problems, whole } = this
    return JSON.stringify(
      { from, version, whole, stopped, counts, messages, problems, more_problems },
      null,
      2,
    )
  }

  toText(): string {
    const lines = [`${bold('From')} ${plain(this.from)} (Letta ${plain(this.version)})`, '']
    const heads = ['', 'new', 'changed', 'same', 'kept', 'refused']
    const rows = Object.entries(this.counts).map(([kind, c]) => [
      `${kind.replaceAll('_', ' ')}s`.replace('identitys', 'identities'),
      ...[c.new, c.changed, c.same, c.kept, c.refused].map((n) => n.toLocaleString('en')),
    ])
    const { added, known, refused } = this.messages
    rows.push(['messages', ...[added, 0, known, 0, refused].map((n) => n.toLocaleString('en'))])
    const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)))
    for (const row of [heads, ...rows])
      lines.push(
        row
          .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
          .join('  '),
      )
    if (this.stopped !== null) lines.push('', 'It ended early: run the same command again to go on.')
    else if (this.problems.length === 0) lines.push('', 'Everything is here as it was.')
    if (this.problems.length === 0) return `${lines.join('\n')}\n`
    lines.push('', bold(`${count(this.problems.length + this.more_problems, 'note')}:`))
    for (const problem of this.problems) {
      const { outcome, reason } = problem
      lines.push(plain(`- ${outcome === 'note' ? '' : `${outcome}: `}${whatOf(problem)}: ${reason}`))
    }
    if (this.more_problems > 0) lines.push(`… and ${this.more_problems} more.`)
    return `${lines.join('\n')}\n`
  }
}

/** `agent Ada (agent-…)`, as far as the other server names it. */
function whatOf({ kind, id, name }: Problem): string {
  const noun = kind.replaceAll('_', ' ')
  if (id === '') return name === '' ? `${noun} without an id` : `${noun} ${name}`
  return name === '' || name === id ? `${noun} ${id}` : `${noun} ${name} (${id})`
}

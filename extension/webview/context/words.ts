import type { Compaction, CompactionMode, CompactionTrigger } from '../../../shared/schema/compaction.ts'
import type { PartKind } from '../../context-protocol.ts'

/** What a part is called, and what it is. */
export const PARTS: Record<PartKind, { name: string; about: string }> = {
  system: { name: 'System', about: 'The instructions of the agent.' },
  blocks: {
    name: 'Blocks',
    about: 'Its memory, as it stands in the prompt. The agent edits it with its tools.',
  },
  rules: { name: 'Tool rules', about: 'What the model is told about the order of its tools.' },
  directories: { name: 'Files', about: 'Folders that are attached, and what is open of their files.' },
  metadata: {
    name: 'Metadata',
    about: 'Dates and counts, as of the last time that the prompt was compiled.',
  },
  tools: { name: 'Tools', about: 'Names, descriptions and parameters of the tools it may call.' },
  summary: { name: 'Summary', about: 'What stands for the messages that left the context.' },
  messages: { name: 'Messages', about: 'What was said and done, word for word.' },
}

export const MODES: Record<CompactionMode, string> = {
  sliding_window: 'Older messages',
  all: 'All messages',
  self_compact_sliding_window: 'Older messages, by the agent itself',
  self_compact_all: 'All messages, by the agent itself',
}

export const TRIGGERS: Record<CompactionTrigger, string> = {
  post_step_context_check: 'the context was nearly full',
  context_window_exceeded: 'a request was too long',
  manual: 'asked for',
}

/** `12,345`. */
export function number(count: number): string {
  return count.toLocaleString('en')
}

/** `3 messages`. */
export function counted(count: number, noun: string): string {
  return `${number(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** `39 %`, `< 1 %` for little. */
export function share(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return '0 %'
  const percent = (100 * part) / whole
  return percent < 1 ? '< 1 %' : `${Math.round(percent)} %`
}

/** `850 ms`, `2.4 s`, `3 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1) return '< 1 ms'
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

/** Date and time as this machine writes them; only the time of today's. */
export function moment(iso: string, now: Date = new Date()): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return iso
  const time = date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
  return date.toDateString() === now.toDateString() ? time : `${date.toLocaleDateString()} ${time}`
}

/** What a compaction did, in a line. */
export function compacted(record: Compaction): string {
  const { context_tokens_before: before, context_tokens_after: after } = record
  const tokens = before === null || after === null ? '' : `, ${number(before)} → ${number(after)} tokens`
  return `${record.messages_count_before} → ${counted(record.messages_count_after, 'message')}${tokens}`
}

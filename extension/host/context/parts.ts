import type { ContextWindowOverview } from '../../../shared/schema/compaction.ts'
import type { ContextItem, ContextPart, PartKind } from '../../context-protocol.ts'
import { firstWords } from '../views/entry.ts'

/** An item with the text that the model sees of it. */
export interface PartText {
  key: string
  title: string
  detail: string
  text: string
}
export interface ReadPart {
  kind: PartKind
  tokens: number
  items: PartText[]
}

/** What of a block is not in its text. */
export interface BlockLimits {
  label: string
  chars: number
  limit: number
}

/** The parts of a context that hold anything, each with its items, in the order of the model. */
export function partsOf(overview: ContextWindowOverview, blocks: readonly BlockLimits[]): ReadPart[] {
  const whole = (title: string, text: string | null): PartText[] =>
    text === null || text === '' ? [] : [{ key: 'text', title, detail: firstWords(text, 90), text }]
  const parts: ReadPart[] = [
    {
      kind: 'system',
      tokens: overview.num_tokens_system,
      items: whole('Instructions', overview.system_prompt),
    },
    {
      kind: 'blocks',
      tokens: overview.num_tokens_core_memory,
      items: blockItems(overview.core_memory, blocks),
    },
    {
      kind: 'rules',
      tokens: overview.num_tokens_tool_usage_rules,
      items: whole('Rules', overview.tool_usage_rules),
    },
    {
      kind: 'directories',
      tokens: overview.num_tokens_directories,
      items: whole('Folders and open files', overview.directories),
    },
    {
      kind: 'metadata',
      tokens: overview.num_tokens_external_memory_summary,
      items: whole('Dates and counts', overview.external_memory_summary),
    },
    {
      kind: 'tools',
      tokens: overview.num_tokens_functions_definitions,
      items: (overview.functions_definitions ?? []).map(toolItem),
    },
    {
      kind: 'summary',
      tokens: overview.num_tokens_summary_memory,
      items: whole('What was said before', overview.summary_memory),
    },
    { kind: 'messages', tokens: overview.num_tokens_messages, items: messageItems(overview) },
  ]
  return parts.filter(({ items, tokens }) => items.length > 0 || tokens > 0)
}

/** The same without the texts; the tokens of a part are shared out by their lengths. */
export function withoutTexts({ kind, tokens, items }: ReadPart): ContextPart {
  const length = items.reduce((sum, { text }) => sum + text.length, 0)
  const shared = items.map(({ key, title, detail, text }): ContextItem => ({
    key,
    title,
    detail,
    tokens: Math.round((tokens * text.length) / Math.max(1, length)),
  }))
  return { kind, tokens, items: shared }
}

/** The section of each block; all in one where the text is not as expected. */
function blockItems(memory: string, blocks: readonly BlockLimits[]): PartText[] {
  if (memory === '') return []
  const items: PartText[] = []
  let from = 0
  for (const { label, chars, limit } of blocks) {
    const start = memory.indexOf(`\n<${label}>\n<description>`, from)
    const next = blocks[items.length + 1]
    const bound = next ? memory.indexOf(`\n<${next.label}>\n<description>`, start + 1) : memory.length
    const close = `\n</${label}>`
    const end = memory.lastIndexOf(close, bound < 0 ? memory.length : bound)
    if (start < 0 || end < start) {
      return [{ key: 'text', title: 'All blocks', detail: firstWords(memory, 90), text: memory }]
    }
    from = end + close.length
    const detail = `${chars.toLocaleString('en')} of ${limit.toLocaleString('en')} characters`
    items.push({ key: label, title: label, detail, text: memory.slice(start + 1, from) })
  }
  return items
}

function toolItem(definition: Record<string, unknown>, index: number): PartText {
  const { name, description } = (definition['function'] ?? {}) as { name?: unknown; description?: unknown }
  const title = typeof name === 'string' ? name : `tool ${index + 1}`
  return {
    key: title,
    title,
    detail: typeof description === 'string' ? firstWords(description, 90) : '',
    text: JSON.stringify(definition, null, 2),
  }
}

/** What of a stored message is read here. */
interface SeenMessage {
  id: string
  role: string
  name?: string | null
  content?: readonly Record<string, unknown>[] | null
  tool_calls?: readonly { function?: { name?: string; arguments?: string } }[] | null
  tool_returns?: readonly { status?: string; func_response?: unknown }[] | null
}

const SPEAKERS: Record<string, string> = {
  user: 'You',
  assistant: 'Agent',
  tool: 'Tool',
  approval: 'Approval',
  summary: 'Summary',
  system: 'System',
}

/** Messages but for the system message and the summary, which are parts of their own. */
function messageItems(overview: ContextWindowOverview): PartText[] {
  const messages = overview.messages as unknown as SeenMessage[]
  const from = overview.summary_memory === null ? 1 : 2
  return messages.slice(from).map((message) => {
    const text = messageText(message)
    const calls = (message.tool_calls ?? []).map((call) => call.function?.name ?? 'tool')
    const speaker = SPEAKERS[message.role] ?? message.role
    const title = message.role === 'tool' && message.name ? `${speaker} ${message.name}` : speaker
    const said = contentText(message)
    const detail =
      said === '' && calls.length > 0 ? `calls ${calls.join(', ')}` : firstWords(said || text, 90)
    return { key: message.id, title, detail, text }
  })
}

/** All of a message that the model sees, as one text. */
function messageText(message: SeenMessage): string {
  const calls = (message.tool_calls ?? []).map(
    (call) => `→ ${call.function?.name ?? 'tool'}(${pretty(call.function?.arguments ?? '')})`,
  )
  return [contentText(message), ...calls].filter((text) => text !== '').join('\n\n')
}

function contentText({ content, tool_returns }: SeenMessage): string {
  const returned = (tool_returns ?? []).map(({ status, func_response }) => {
    const text =
      typeof func_response === 'string' ? func_response : JSON.stringify(func_response ?? '', null, 2)
    return status === 'error' ? `(error) ${text}` : text
  })
  if (returned.length > 0) return returned.join('\n\n')
  return (content ?? [])
    .map(partText)
    .filter((text) => text !== '')
    .join('\n\n')
}

function partText(part: Record<string, unknown>): string {
  const { type, text, reasoning, source } = part
  if (typeof text === 'string') return text
  if (typeof reasoning === 'string') return `(reasoning) ${reasoning}`
  if (type === 'image') {
    const { media_type, data } = (source ?? {}) as { media_type?: string; data?: string }
    const size = data === undefined ? '' : `, ${Math.ceil((data.length * 3) / 4096)} KB`
    return `(image ${media_type ?? ''}${size})`
  }
  return `(${String(type)})`
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2)
  } catch {
    return json
  }
}

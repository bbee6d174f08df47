import type { Agent } from '../schema/agent.ts'
import type { Block } from '../schema/block.ts'
import type { ToolRule } from '../schema/tool.ts'
import { directoriesSection } from './files/directories.ts'

/**
 * The system message in two parts around its metadata section. The metadata (dates and counts) is that of the last
 * compile: it never causes one, so that the provider's prefix cache is kept (DESIGN decision 9).
 */
export interface CompiledPrompt {
  before: string
  after: string
}

export interface PromptMetadata {
  agent_id: string
  /** `default` for the default conversation. */
  conversation_id: string
  compiled_at: Date
  timezone: string
  /** Messages that are stored but not in context. */
  recall_count: number
  /** What archival memory holds; nothing is said of an empty one. */
  archival?: { count: number; tags: readonly string[] }
}

/** Token in an agent's system text that is replaced by its memory. */
const MEMORY_TOKEN = '{CORE_MEMORY}'

/** Agent types whose prompt never shows memory blocks (reference 3.1). */
const WITHOUT_BLOCKS = new Set(['react_agent', 'workflow_agent'])

/** Agent types that see line numbers in their blocks when the model is Anthropic's (reference 3.1). */
const NUMBERED = new Set(['sleeptime_agent', 'memgpt_v2_agent', 'letta_v1_agent'])

/** Said with line-numbered blocks; memory tools refuse text that carries it. */
export const LINE_NUMBER_WARNING =
  '# Line numbers are shown only for orientation: never include them in the arguments of a memory tool.'

/** Compiles everything of an agent's system message but its metadata section. */
export function compilePrompt(
  agent: Pick<Agent, 'system' | 'agent_type' | 'llm_config' | 'tool_rules' | 'blocks' | 'directories'> &
    Partial<Pick<Agent, 'max_files_open'>>,
): CompiledPrompt {
  const numbered = NUMBERED.has(agent.agent_type) && agent.llm_config.model_endpoint_type === 'anthropic'
  const sections = [
    WITHOUT_BLOCKS.has(agent.agent_type) ? '' : blocksSection(agent.blocks, numbered),
    toolRulesSection(agent.tool_rules),
    directoriesSection(agent.directories ?? [], agent.max_files_open ?? null),
  ]
  const memory = sections.filter((s) => s !== '').join('\n\n')
  const at = agent.system.indexOf(MEMORY_TOKEN)
  if (at < 0) return { before: [agent.system, memory].filter((s) => s !== '').join('\n\n'), after: '' }
  return { before: agent.system.slice(0, at) + memory, after: agent.system.slice(at + MEMORY_TOKEN.length) }
}

/** The whole text of the system message. */
export function renderPrompt(prompt: CompiledPrompt, metadata: PromptMetadata): string {
  return `${prompt.before}\n\n${metadataSection(metadata)}${prompt.after}`
}

/** Whether `text` is this prompt with any metadata: then it is kept to the byte. */
export function isCurrentPrompt(prompt: CompiledPrompt, text: string): boolean {
  if (!text.startsWith(prompt.before) || !text.endsWith(prompt.after)) return false
  const middle = text.slice(prompt.before.length, text.length - prompt.after.length)
  return (
    middle.startsWith('\n\n<memory_metadata>') &&
    middle.indexOf('</memory_metadata>') === middle.length - '</memory_metadata>'.length
  )
}

/** The prompt with the metadata section of an earlier text of it; null when that has none. */
export function keepMetadata(prompt: CompiledPrompt, earlier: string): string | null {
  const end = earlier.lastIndexOf('</memory_metadata>')
  const start = earlier.lastIndexOf('<memory_metadata>', end)
  if (start < 0) return null
  const section = earlier.slice(start, end + '</memory_metadata>'.length)
  return `${prompt.before}\n\n${section}${prompt.after}`
}

function blocksSection(blocks: readonly Block[], numbered: boolean): string {
  if (blocks.length === 0 && !numbered) return ''
  const rendered = blocks.map((block) => {
    const label = block.label ?? 'block'
    const lines = [
      `<${label}>`,
      '<description>',
      block.description ?? '',
      '</description>',
      '<metadata>',
      ...(block.read_only ? ['- read_only=true'] : []),
      `- chars_current=${codePoints(block.value)}`,
      `- chars_limit=${block.limit}`,
      '</metadata>',
      ...(numbered ? ['<warning>', LINE_NUMBER_WARNING, '</warning>'] : []),
      '<value>',
      numbered ? numberLines(block.value) : block.value,
      '</value>',
      `</${label}>`,
    ]
    return lines.join('\n')
  })
  return (
    ['<memory_blocks>\nThese memory blocks are engaged in your core memory:', ...rendered].join('\n\n') +
    '\n</memory_blocks>'
  )
}

function numberLines(text: string): string {
  return text
    .split('\n')
    .map((line, i) => `${i + 1}→ ${line}`)
    .join('\n')
}

function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

function toolRulesSection(rules: readonly ToolRule[]): string {
  const texts = rules.map(ruleText).filter((text) => text !== null)
  if (texts.length === 0) return ''
  return [
    '<tool_usage_rules>',
    '<description>',
    'Calls to your tools must observe these constraints.',
    '</description>',
    ...texts.map((text) => `<tool_rule>\n${text}\n</tool_rule>`),
    '</tool_usage_rules>',
  ].join('\n')
}

/** A tool rule in words for the model; null for those that it is told nothing of (reference 3.1). */
export function ruleText(rule: ToolRule): string | null {
  switch (rule.type) {
    case 'constrain_child_tools':
      return `After using ${rule.tool_name}, you must use one of these tools: ${rule.children.join(', ')}.`
    case 'parent_last_tool':
      return `${rule.children.join(', ')} can only be used right after ${rule.tool_name}.`
    case 'conditional':
      return `What ${rule.tool_name} returns decides which tool comes next.`
    case 'exit_loop':
      return `${rule.tool_name} ends your response (it yields control).`
    case 'continue_loop':
      return `After ${rule.tool_name} your response must go on.`
    case 'max_count_per_step':
      return `${rule.tool_name}: at most ${rule.max_count_limit} use(s) per response.`
    case 'required_before_exit':
    case 'run_first':
    case 'requires_approval':
      return null
  }
}

function metadataSection(metadata: PromptMetadata): string {
  return [
    '<memory_metadata>',
    `- AGENT_ID: ${metadata.agent_id}`,
    `- CONVERSATION_ID: ${metadata.conversation_id}`,
    `- System prompt last recompiled: ${formatLocalTime(metadata.compiled_at, metadata.timezone)}`,
    `- ${metadata.recall_count} previous messages are stored in recall memory (tools can search them)`,
    ...archivalLines(metadata.archival),
    '</memory_metadata>',
  ].join('\n')
}

function archivalLines(archival: PromptMetadata['archival']): string[] {
  if (!archival || archival.count === 0) return []
  const lines = [`- ${archival.count} memories are stored in archival memory (tools can search them)`]
  // Tags are anybody's text: none may end a line or the section.
  const tags = archival.tags.map((tag) => tag.replaceAll(/[\s<>]+/g, ' '))
  if (tags.length > 0) lines.push(`- Archival memory tags: ${tags.join(', ')}`)
  return lines
}

const formatters = new Map<string, Intl.DateTimeFormat>()

/** The last second that was formatted in each zone: what is made at once says the same time. */
const lastSecond = new Map<string, { second: number; text: string }>()

/** `YYYY-MM-DD hh:mm:ss AM/PM TZ+offset` in this IANA time zone; an unknown zone is read as UTC. */
export function formatLocalTime(date: Date, timezone: string): string {
  const second = Math.floor(date.getTime() / 1000)
  const before = lastSecond.get(timezone)
  if (before?.second === second) return before.text
  const text = localTime(date, timezone)
  lastSecond.set(timezone, { second, text })
  return text
}

function localTime(date: Date, timezone: string): string {
  const parts = Object.fromEntries(
    formatterOf(timezone)
      .formatToParts(date)
      .map((p) => [p.type, p.value]),
  )
  const offset = parts['timeZoneName']?.replace('GMT', '').replace(':', '') ?? ''
  return (
    `${parts['year']}-${parts['month']}-${parts['day']} ` +
    `${parts['hour']}:${parts['minute']}:${parts['second']} ${parts['dayPeriod']} UTC${offset === '' ? '+0000' : offset}`
  )
}

function formatterOf(timezone: string): Intl.DateTimeFormat {
  const known = formatters.get(timezone)
  if (known) return known
  const make = (timeZone: string) =>
    new Intl.DateTimeFormat('en-US', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hour12: true,
      timeZoneName: 'longOffset',
    })
  let formatter: Intl.DateTimeFormat
  try {
    formatter = make(timezone)
  } catch {
    formatter = make('UTC')
  }
  formatters.set(timezone, formatter)
  return formatter
}

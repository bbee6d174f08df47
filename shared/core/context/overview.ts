import type { ContextWindowOverview } from '../../schema/compaction.ts'
import { agentNotFound } from '../../schema/errors.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { ToolSchema } from '../../schema/tool.ts'
import { maxReturnChars, textOf } from '../messages.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { compilePrompt, isCurrentPrompt, renderPrompt } from '../prompt.ts'
import { repeatedTokens, tokensOf, toolTokens } from './message-tokens.ts'

/**
 * What fills the context of a conversation at its next message (reference 7.1): when blocks or tools have changed since
 * the last one, the system message is the one that will be compiled then. The parts add up to the current size, which
 * is the provider's count of the last step where there is one. Throws `not_found`.
 */
export async function contextOverview(
  deps: CoreDeps,
  actor: Actor,
  target: { agent_id: string; conversation_id: string },
): Promise<ContextWindowOverview> {
  const found = await deps.store.turns.getContext(actor, target.agent_id, target.conversation_id)
  if (!found) throw agentNotFound()
  const { agent, context, context_usage } = found
  const [system, second] = context
  const seen = system ? textOf(system.content) : ''
  const prompt = compilePrompt(agent)
  const next =
    !system || isCurrentPrompt(prompt, seen)
      ? seen
      : renderPrompt(prompt, {
          agent_id: agent.id,
          conversation_id: target.conversation_id === agent.id ? 'default' : target.conversation_id,
          compiled_at: deps.clock.now(),
          timezone: agent.timezone,
          recall_count: found.recall_count,
          archival: found.archival,
        })
  const sections = sectionsOf(next, agent.system)
  const tools = agent.tools.flatMap((tool) =>
    tool.json_schema ? [tool.json_schema as unknown as ToolSchema] : [],
  )
  const summary = second?.role === 'summary' ? second : null
  const rest = context.slice(summary ? 2 : 1)
  const max = maxReturnChars(agent.llm_config.context_window)
  const counts = [
    repeatedTokens(sections.system),
    repeatedTokens(sections.memory),
    repeatedTokens(sections.rules),
    repeatedTokens(sections.directories),
    repeatedTokens(sections.metadata),
    summary ? tokensOf([summary], max) : 0,
    toolTokens(tools),
    tokensOf(rest, max),
  ]
  // What the provider has counted had the prompt of then.
  const change = seen === next ? 0 : repeatedTokens(seen) - repeatedTokens(next)
  const whole = counts.reduce((a, b) => a + b, 0) + change
  const ratio =
    context_usage?.tokens == null ? (context_usage?.ratio ?? 1) : context_usage.tokens / Math.max(1, whole)
  const sizes = counts.map((count) => Math.round(count * ratio))
  const [of_system, of_memory, of_rules, of_directories, of_metadata, of_summary, of_tools, of_messages] =
    sizes as [number, number, number, number, number, number, number, number]
  return {
    context_window_size_max: agent.llm_config.context_window,
    context_window_size_current: sizes.reduce((a, b) => a + b, 0),
    num_messages: context.length,
    num_archival_memory: found.archival.count,
    num_recall_memory: found.recall_count + context.length,
    num_tokens_external_memory_summary: of_metadata,
    external_memory_summary: sections.metadata,
    num_tokens_system: of_system,
    system_prompt: sections.system,
    num_tokens_core_memory: of_memory,
    core_memory: sections.memory,
    num_tokens_memory_filesystem: 0,
    memory_filesystem: null,
    num_tokens_tool_usage_rules: of_rules,
    tool_usage_rules: sections.rules === '' ? null : sections.rules,
    num_tokens_directories: of_directories,
    directories: sections.directories === '' ? null : sections.directories,
    num_tokens_summary_memory: of_summary,
    summary_memory: summary ? textOf(summary.content) : null,
    num_tokens_functions_definitions: of_tools,
    functions_definitions:
      tools.length === 0
        ? null
        : tools.map(({ name, description, parameters }) => ({
            type: 'function',
            function: { name, description, parameters },
          })),
    num_tokens_messages: of_messages,
    messages: context.map((message) =>
      asV1Message(message === system ? { ...message, content: [{ type: 'text', text: next }] } : message),
    ),
  }
}

/** The parts of a compiled system message; `own` is the agent's text, which may hold anything. */
function sectionsOf(text: string, own: string) {
  const from = text.startsWith(own) ? own.length : 0
  let left = text
  const take = (tag: string) => {
    const start = left.indexOf(`<${tag}>`, from)
    const close = `</${tag}>`
    const end = left.lastIndexOf(close)
    if (start < 0 || end < start) return ''
    const section = left.slice(start, end + close.length)
    left = left.slice(0, start) + left.slice(end + close.length)
    return section
  }
  // Blocks hold anybody's text, so they are taken first: another section's tags may be in them.
  const memory = take('memory_blocks')
  const metadata = take('memory_metadata')
  const rules = take('tool_usage_rules')
  const directories = take('directories')
  return { memory, metadata, rules, directories, system: left.replaceAll(/\n{3,}/g, '\n\n').trim() }
}

/** A stored message in V1's internal shape (`Message`). */
function asV1Message(message: StoredMessage): Record<string, unknown> {
  const { conversation_id, agent_id, tool_returns } = message
  return {
    id: message.id,
    agent_id,
    role: message.role,
    content: message.content,
    name: message.name,
    model: message.model,
    tool_calls: message.tool_calls.length === 0 ? null : message.tool_calls,
    tool_call_id: message.role === 'tool' ? (tool_returns[0]?.tool_call_id ?? null) : null,
    tool_returns: tool_returns.map(({ tool_call_id, status, stdout, stderr, func_response }) => ({
      tool_call_id,
      status,
      stdout: stdout ?? null,
      stderr: stderr ?? null,
      func_response,
    })),
    step_id: message.step_id,
    run_id: message.run_id,
    otid: message.otid,
    group_id: message.group_id,
    sender_id: message.sender_id,
    conversation_id: conversation_id === agent_id ? null : conversation_id,
    is_err: message.is_err,
    created_at: message.created_at,
  }
}

import type { CompactionSettingsInput } from '../../schema/compaction.ts'
import { agentNotFound, AppError } from '../../schema/errors.ts'
import { maxReturnChars, textOf, toModelMessages } from '../messages.ts'
import { olderViewOf } from '../older-view.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { compilePrompt, renderPrompt } from '../prompt.ts'
import { loopOf } from '../turn/loop-of.ts'
import { turnTools } from '../turn/turn-tools.ts'
import { compactContext, type CompactionInput, planCompaction } from './compact.ts'
import { changedCompactionSettings, checkSummariser } from './compaction-settings.ts'
import { giveWay } from './give-way.ts'
import { repeatedTokens, toolTokens } from './message-tokens.ts'
import { ContextMeter } from './meter.ts'
import { compactionSettingsOf } from './turn-window.ts'

/**
 * Compacts a conversation because somebody asks for it; `settings` change those of the agent for this once. Throws
 * `not_found`, `model_not_found`, `conversation_busy` while a turn runs, `invalid_argument` when nothing would become
 * shorter.
 */
export async function compactConversation(
  deps: CoreDeps,
  actor: Actor,
  target: { agent_id: string; conversation_id: string },
  settings: CompactionSettingsInput | null,
  options: { signal: AbortSignal },
): Promise<{ summary: string; num_messages_before: number; num_messages_after: number }> {
  const { agent_id, conversation_id } = target
  await giveWay()
  const found = await deps.store.turns.getContext(actor, agent_id, conversation_id)
  const [system] = found?.context ?? []
  if (!found || !system) throw agentNotFound()
  const { agent, context } = found
  await giveWay()
  await refuseWhileBusy(deps, actor, target)
  if (context.length < 2)
    throw new AppError('invalid_argument', 'this conversation has no messages that could be compacted')
  const model = await deps.models.resolve(actor, agent.model ?? 'letta/auto')
  await checkSummariser(deps.models, actor, settings)
  const { tools } = loopOf(agent, turnTools(agent, []), deps.clock).offer()
  const view = {
    timezone: agent.timezone,
    max_return_chars: maxReturnChars(agent.llm_config.context_window),
    older: olderViewOf(agent),
  }
  const fixed = repeatedTokens(textOf(system.content)) + toolTokens(tools)
  let present = context
  const meter = new ContextMeter(model.handle, found.context_usage, [], {
    fixed: () => fixed,
    messages: () => present.slice(1),
    max_return_chars: view.max_return_chars,
  })
  const models = { before: agent.llm_config, now: agent.llm_config }
  const config = agent.llm_config
  const input: CompactionInput = {
    actor,
    agent,
    conversation_id,
    run_id: null,
    step_id: null,
    context,
    settings: changedCompactionSettings(compactionSettingsOf(agent), settings, models),
    trigger: 'manual',
    attempt: 0,
    model,
    window: Math.min(config.context_window, model.info.max_context_window || config.context_window),
    tokens: meter.tokens,
    estimate: (count) => meter.estimate(count),
    fixed,
    max_return_chars: view.max_return_chars,
    requestUpTo: (index) => ({
      messages: toModelMessages(context.slice(0, index), view),
      tools,
      tool_choice: 'auto',
      parallel_tool_calls: config.parallel_tool_calls === true,
      settings: {
        temperature: config.temperature,
        max_tokens: config.max_tokens,
        reasoning_effort: config.reasoning_effort,
        response_format: null,
      },
    }),
  }
  await giveWay()
  const plan = planCompaction(input)
  if (!plan)
    throw new AppError(
      'invalid_argument',
      `nothing of this conversation's ${context.length} messages can be made shorter`,
    )
  const outcome = await compactContext(input, plan, deps, options)
  present = outcome.context
  meter.replaced()
  const text = renderPrompt(compilePrompt(agent), {
    agent_id,
    conversation_id: conversation_id === agent_id ? 'default' : conversation_id,
    compiled_at: deps.clock.now(),
    timezone: agent.timezone,
    recall_count: found.recall_count + outcome.compaction.record.evicted_count,
    archival: found.archival,
  })
  await deps.store.compactions.compact(actor, {
    agent_id,
    conversation_id,
    compaction: outcome.compaction,
    system: { message_id: system.id, text },
    context_usage: meter.usage,
  })
  return {
    summary: outcome.summary,
    num_messages_before: context.length,
    num_messages_after: outcome.context.length,
  }
}

/** The store refuses it in the end; but a summary takes its time, and may cost. */
async function refuseWhileBusy(
  deps: CoreDeps,
  actor: Actor,
  { agent_id, conversation_id }: { agent_id: string; conversation_id: string },
): Promise<void> {
  const page = { limit: 1, order: 'desc' } as const
  const statuses = ['created' as const, 'running' as const]
  const [run] = await deps.store.turns.listRuns(actor, { agent_id, conversation_id, statuses }, page)
  if (run)
    throw new AppError(
      'conversation_busy',
      `A message is being answered in this conversation (run '${run.id}'). Wait until it ends, or cancel it; then compact it.`,
      { data: { run_id: run.id } },
    )
}

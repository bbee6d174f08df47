import type { Agent } from '../../schema/agent.ts'
import type {
  CompactionDetail,
  CompactionMode,
  CompactionSettings,
  CompactionStats,
  CompactionTrigger,
} from '../../schema/compaction.ts'
import { newId } from '../../schema/ids.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { clip, summaryMessage, textOf } from '../messages.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { ModelRequest, ResolvedModel } from '../ports/models.ts'
import type { ContextCompaction } from '../ports/compaction-store.ts'
import { formatLocalTime } from '../prompt.ts'
import { giveWay } from './give-way.ts'
import { cutPoints, pendingFrom, unansweredFrom } from './cuts.ts'
import { isChosen } from './compaction-settings.ts'
import { messageTokens, tokensOf } from './message-tokens.ts'
import { summarise } from './summarise.ts'

/** A context that is fuller than this share of the window is made shorter (reference 7.2). */
export const FULL = 0.9
/** What a summary may take of the window. */
const SUMMARY_SHARE = 0.2
/** What the question of the turn under way may take of the window beside it. */
const QUESTION_SHARE = 0.1

export interface CompactionInput {
  actor: Actor
  agent: Agent
  conversation_id: string
  run_id: string | null
  step_id: string | null
  /** The system message first. */
  context: readonly StoredMessage[]
  settings: CompactionSettings
  trigger: CompactionTrigger
  /** Attempts so far to make this request fit: the later, the more goes. */
  attempt: number
  model: ResolvedModel
  /** Tokens that the context may have. */
  window: number
  /** Tokens that it has, as the provider counts. */
  tokens: number
  /** Our count as the provider counts: see `ContextMeter.estimate`. */
  estimate: (count: number) => number
  /** System message and tools by our count. */
  fixed: number
  max_return_chars: number
  /** The agent's request with the context up to this index (exclusive), for the `self_*` modes. */
  requestUpTo: (index: number) => ModelRequest
}

export interface CompactionOutcome {
  compaction: ContextCompaction
  /** The context as it is afterwards; its system message is still the old one. */
  context: StoredMessage[]
  tokens: number
  summary: string
}

/** What goes: everything after the system message and before `cut`. */
export interface CompactionPlan {
  mode: CompactionMode
  cut: number
}

/** What a compaction would begin with; null when there is nothing that could go, or nothing would be won. */
export function planCompaction(input: CompactionInput): CompactionPlan | null {
  const { settings, context, attempt } = input
  const wanted = attempt === 0 ? settings.mode : ALL[settings.mode]
  const sliding = wanted.endsWith('sliding_window') ? slidingCut(input) : null
  const plan = sliding === null ? { mode: ALL[wanted], cut: wholeCut(input) } : { mode: wanted, cut: sliding }
  if (plan.cut < leastCut(input)) return null
  const only = plan.cut === 2 ? context[1] : undefined
  const size = only ? input.estimate(messageTokens(only, input.max_return_chars)) : Infinity
  return size < 0.25 * limitOf(input) ? null : plan
}

/**
 * Makes a context shorter: its older part becomes a summary, [system, summary, kept…]. What must stay together stays:
 * calls and their returns, calls that wait for an approval, and input that nobody has answered. Stores nothing. Rejects
 * only when it is aborted.
 */
export async function compactContext(
  input: CompactionInput,
  plan: CompactionPlan,
  deps: CoreDeps,
  options: { signal: AbortSignal },
): Promise<CompactionOutcome> {
  const { settings, context, attempt } = input
  const started = deps.clock.monotonic()
  await giveWay()
  const done = await replaceUpTo(plan)
  // A summary that turned out long, or messages that were not enough: everything goes.
  const whole = wholeCut(input)
  const helps = input.estimate(input.fixed) < FULL * input.window
  if (done.tokens < FULL * input.window || whole <= plan.cut || !helps) return done
  return replaceUpTo({ mode: ALL[plan.mode], cut: whole })

  async function replaceUpTo({ mode, cut: end }: CompactionPlan) {
    const evicted = context.slice(1, end)
    const fits = input.estimate(input.fixed + tokensOf(evicted, input.max_return_chars)) < 0.95 * input.window
    const summary = await summarise(
      {
        actor: input.actor,
        settings,
        mode,
        evicted,
        max_tokens: (SUMMARY_SHARE * limitOf(input)) / input.estimate(1),
        model: input.model,
        chosen: isChosen(settings, input.agent.llm_config),
        own: fits ? input.requestUpTo(end) : null,
        extract: attempt >= 2,
      },
      deps,
      options,
    )
    await giveWay()
    return outcome(input, deps, { mode_used: summary.mode_used, summary, evicted, end, started })
  }
}

const ALL = {
  all: 'all',
  sliding_window: 'all',
  self_compact_all: 'self_compact_all',
  self_compact_sliding_window: 'self_compact_all',
} as const

/** The window, or what the provider has just called too long, if that is less. */
function limitOf({ window, tokens, trigger }: CompactionInput): number {
  return trigger === 'context_window_exceeded' ? Math.min(window, tokens) : window
}

/** One message for one summary is not shorter, and a summary of a short summary not either. */
function leastCut({ trigger }: CompactionInput): number {
  return trigger === 'manual' ? 3 : 2
}

/**
 * The nearest cut that leaves enough room: at first the share of the settings, a tenth more each time. Null when there
 * is none but everything.
 */
function slidingCut(input: CompactionInput): number | null {
  const { context, settings, max_return_chars } = input
  const share = settings.sliding_window_percentage
  const target = (1 - share) * limitOf(input)
  const summary = SUMMARY_SHARE * limitOf(input) * 0.5
  const last = pendingFrom(context)
  const least = leastCut(input)
  const points = cutPoints(context).filter((point) => point >= least && point <= last)
  for (let part = share; part < 0.999; part += 0.1) {
    const at = 1 + Math.round(part * (context.length - 1))
    const point = points.findLast((candidate) => candidate <= at)
    if (point === undefined) continue
    const kept = tokensOf(context.slice(point), max_return_chars)
    if (input.estimate(input.fixed + kept) + summary < target) return point
  }
  return null
}

/** Everything but what must stay, and the unanswered input: in the end only that of this turn. */
function wholeCut(input: CompactionInput): number {
  const { context, max_return_chars, attempt, run_id } = input
  const pending = pendingFrom(context)
  const from = Math.min(pending, unansweredFrom(context, attempt > 0 ? run_id : null))
  const kept = tokensOf(context.slice(from), max_return_chars)
  const fits = input.estimate(input.fixed + kept) < 0.9 * limitOf(input)
  return fits || input.trigger === 'context_window_exceeded' ? from : pending
}

/** What the turn under way was asked, word for word: a summary may not say it, and the turn still has to answer it. */
function questionOf(input: CompactionInput, evicted: readonly StoredMessage[]): string {
  const { run_id, estimate } = input
  const first = evicted.findIndex((message) => message.run_id !== null && message.run_id === run_id)
  if (first < 0) return ''
  const after = evicted.findIndex((message, i) => i > first && message.role !== 'user')
  const texts = evicted
    .slice(first, after < 0 ? undefined : after)
    .map((message) => (message.role === 'user' ? textOf(message.content) : ''))
  const text = clip(texts.join('\n').trim(), Math.floor((QUESTION_SHARE * limitOf(input) * 3) / estimate(1)))
  return text === '' ? '' : `\n\nThe message that is to be answered now, word for word:\n${text}`
}

function outcome(
  input: CompactionInput,
  deps: CoreDeps,
  made: {
    mode_used: CompactionMode
    summary: Awaited<ReturnType<typeof summarise>>
    evicted: StoredMessage[]
    end: number
    started: number
  },
): CompactionOutcome {
  const { agent, conversation_id, run_id, step_id, context, settings, trigger } = input
  const { summary, evicted, end } = made
  const now = deps.clock.now()
  const kept = context.slice(end)
  const hidden = kept.length === 0 ? 'The' : `The ${evicted.length}`
  const message = `${hidden} earlier messages of this conversation are not in view any more; they are stored and can be searched. A summary of them:\n${summary.text}${questionOf(input, evicted)}`
  const stats: CompactionStats = {
    trigger,
    context_tokens_before: input.tokens,
    context_tokens_after: null,
    context_window: input.window,
    messages_count_before: context.length,
    messages_count_after: kept.length + 2,
  }
  const pack = (compaction_stats: CompactionStats) =>
    summaryMessage(
      JSON.stringify({
        type: 'system_alert',
        message,
        time: formatLocalTime(now, agent.timezone),
        compaction_stats,
      }),
      { agent_id: agent.id, conversation_id, run_id, step_id },
      now,
    )
  const size = messageTokens(pack({ ...stats, context_tokens_after: input.tokens }))
  const tokens = Math.round(input.estimate(input.fixed + size + tokensOf(kept, input.max_return_chars)))
  stats.context_tokens_after = tokens
  const stored = pack(stats)
  const first = evicted[0]?.id ?? ''
  const last = evicted.at(-1)?.id ?? ''
  const record: CompactionDetail = {
    ...stats,
    id: `compaction-${newId('message').slice('message-'.length)}`,
    agent_id: agent.id,
    conversation_id,
    run_id,
    step_id,
    mode: settings.mode,
    mode_used: made.mode_used,
    model: summary.model,
    fallback: summary.model === null,
    problems: summary.problems,
    summary_message_id: stored.id,
    evicted_count: evicted.length,
    first_evicted_id: first,
    last_evicted_id: last,
    first_kept_id: kept[0]?.id ?? null,
    duration_ms: Math.round(deps.clock.monotonic() - made.started),
    created_at: now.toISOString(),
    evicted_message_ids: evicted.map((one) => one.id),
  }
  const system = context[0]
  return {
    compaction: { summary: stored, through: last, record },
    context: [...(system ? [system] : []), stored, ...kept],
    tokens,
    summary: summary.text,
  }
}

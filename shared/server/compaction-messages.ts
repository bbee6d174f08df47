import { unpackSummary } from '../core/context/unpack-summary.ts'
import type { AgentEvent } from '../core/events.ts'
import type { LettaMessage, StoredMessage } from '../schema/message.ts'

/** V1's `event_message` that a context is about to be made shorter; it is never part of a context (reference 5.1). */
export function compactionEvent(
  event: Omit<Extract<AgentEvent, { type: 'compaction_start' }>, 'type' | 'run_id'> & {
    run_id: string | null
  },
): LettaMessage {
  return {
    id: event.id,
    date: event.date,
    name: null,
    otid: null,
    sender_id: null,
    step_id: event.step_id,
    run_id: event.run_id,
    seq_id: null,
    message_type: 'event_message',
    event_type: 'compaction',
    event_data: {
      trigger: event.trigger,
      context_token_estimate: event.context_tokens,
      context_window: event.context_window,
    },
  }
}

/**
 * A stored summary as clients that asked for compaction messages see it: the event, and the summary itself. `common`
 * is what all messages have.
 */
export function compactionMessages(
  message: StoredMessage,
  common: Pick<LettaMessage, 'id' | 'date' | 'name' | 'otid' | 'sender_id' | 'step_id' | 'run_id' | 'seq_id'>,
): LettaMessage[] {
  const { summary, stats } = unpackSummary(message)
  const shown: LettaMessage = {
    ...common,
    message_type: 'summary_message',
    summary,
    compaction_stats: stats,
  }
  if (!stats) return [shown]
  const event = compactionEvent({
    id: `event-${message.id.slice('message-'.length)}`,
    date: common.date,
    run_id: message.run_id,
    step_id: message.step_id,
    trigger: stats.trigger,
    context_tokens: stats.context_tokens_before ?? 0,
    context_window: stats.context_window,
  })
  return [event, shown]
}

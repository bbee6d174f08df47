import type { Actor } from '../../core/ports/actor.ts'
import type { BlockConflict, CommitStep, FinishRun } from '../../core/ports/turn-store.ts'
import { AppError } from '../../schema/errors.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { compactedContext, dropFromContext, putCompaction, saveContextUsage } from './compactions.ts'
import { appendMessages, type ContextCache, rewriteText } from './context.ts'
import type { Transaction } from './database.ts'
import type { Instance } from './instances.ts'
import { insertPassages } from './passage-rows.ts'
import { appendChunks } from './run-chunks.ts'
import { insertStep, json } from './runs.ts'
import { applyEdits } from './step-edits.ts'
import { madeProgress } from './take-over.ts'
import type { TraceWriter } from './traces.ts'
import {
  type Conversation,
  conversationById,
  finishAgent,
  finishRun,
  rowOf,
  updateConversation,
} from './turn-queries.ts'
import { countUsage } from './usage.ts'

/** What a process keeps of its turns between their steps. */
interface Committing {
  instance: Instance
  contexts: ContextCache
  traces: TraceWriter
}

/** Writes a step into its transaction, with all that goes with it; `lease_lost` when the run holds its conversation no longer. */
export async function commitStep(
  tx: Transaction,
  actor: Actor,
  step: CommitStep,
  { instance, contexts, traces }: Committing,
): Promise<{ status: 'committed' } | BlockConflict> {
  const conversation = await conversationById.get(tx, {
    id: step.conversation_id,
    org: actor.organization_id,
  })
  if (!isHeld(conversation, step, instance.id) || conversation.agent_id !== step.agent_id)
    throw leaseLost(step.run_id)
  const { agent_id, run_id } = step
  const conflict = await applyEdits(tx, actor, step.block_edits, {
    agent_id,
    conversation_id: conversation.id,
    run_id,
  })
  if (conflict) return conflict
  await insertPassages(tx, actor, agent_id, step.passages ?? [])

  const added = await appendMessages(tx, actor, conversation.id, conversation.context_end, step.messages)
  const system = step.system
    ? await rewriteText(tx, actor, conversation.id, step.system.message_id, step.system.text)
    : null
  if (step.step) {
    await countUsage(tx, actor, step.step)
    await insertStep(tx, actor, step.step)
  }
  if (step.step && step.trace) await traces.add(tx, actor, conversation.id, step.step.id, step.trace)
  if (step.chunks) {
    await appendChunks(tx, step.run_id, step.chunks)
    await madeProgress(tx, step.run_id)
  }
  const compacted = step.compaction ? await putCompaction(tx, actor, conversation, step.compaction) : null
  const dropped = await dropFromContext(tx, actor, conversation.id, step.drop ?? [])
  if (step.finish) await closeRun(tx, actor, step, step.finish)
  const changed = added.length > 0 || system !== null || compacted !== null || dropped > 0
  const version = conversation.context_version + Number(changed)
  const summaries = Number(compacted !== null)
  const removed = dropped + (compacted?.removed ?? 0)
  // In PostgreSQL the lease is kept by writing its row (`guarded`), even when nothing of it changes.
  if (changed || step.finish || tx.engine === 'postgres') {
    await updateConversation.send(tx, {
      ...rowOf(conversation),
      run: step.finish ? null : step.run_id,
      instance: step.finish ? null : instance.id,
      version,
      length: conversation.context_length + added.length + summaries - removed,
      end: conversation.context_end + added.length,
      count: conversation.message_count + added.length + summaries,
      ...(step.finish ? { completed_at: step.finish.completed_at } : {}),
    })
  }
  if (step.context_usage) await saveContextUsage(tx, conversation.id, step.context_usage, version)
  const known = changed ? contexts.get(conversation.id, conversation.context_version) : null
  const { compaction, drop } = step
  tx.afterwards(
    () => {
      if (known) {
        const grown = replaced(known, system).concat(added)
        const left = drop ? grown.filter((message) => !drop.includes(message.id)) : grown
        const context =
          compaction && compacted ? compactedContext(left, compaction.through, compacted.stored) : left
        contexts.set(conversation.id, version, context)
      }
      if (step.finish) instance.leaseReleased(step.run_id, step.epoch)
    },
    // A turn that could not be closed stays given up: the next one takes its conversation over.
    () => contexts.delete(conversation.id),
  )
  return { status: 'committed' }
}

async function closeRun(tx: Transaction, actor: Actor, step: CommitStep, finish: FinishRun): Promise<void> {
  await finishRun.send(tx, {
    id: step.run_id,
    status: finish.status,
    stop: finish.stop_reason,
    at: finish.completed_at,
    ttft: finish.ttft_ns,
    duration: finish.total_duration_ns,
    metadata: json(finish.metadata),
  })
  await finishAgent.send(tx, {
    id: step.agent_id,
    at: finish.completed_at,
    ms: Math.round(finish.total_duration_ns / 1e6),
    stop: finish.stop_reason,
  })
  await tx.event(actor, 'run.updated', step.run_id, step.agent_id)
}

/** Whether the run still has its conversation, as this instance's. */
export function isHeld(
  conversation: Conversation | undefined,
  { run_id, epoch }: Pick<CommitStep, 'run_id' | 'epoch'>,
  instance_id: string,
): conversation is Conversation {
  return (
    conversation?.epoch === epoch &&
    conversation.run_id === run_id &&
    conversation.instance_id === instance_id
  )
}

export function leaseLost(run_id: string): AppError {
  return new AppError(
    'lease_lost',
    `The run '${run_id}' no longer holds its conversation: it was taken over or cancelled while this process did not ` +
      'answer, it has ended, or the agent was deleted. Nothing of this step was written; see how the run ended before you ' +
      'send the message again.',
    { data: { run_id } },
  )
}

function replaced(
  messages: readonly StoredMessage[],
  system: StoredMessage | null,
): readonly StoredMessage[] {
  return system ? messages.map((message) => (message.id === system.id ? system : message)) : messages
}

import type { Actor } from '../../core/ports/actor.ts'
import type { RunFilter, StepFilter } from '../../core/ports/run-store.ts'
import type {
  BlockConflict,
  CommitStep,
  ConversationContext,
  FinishRun,
  OpenedTurn,
  OpenTurn,
  TurnStore,
} from '../../core/ports/turn-store.ts'
import type { Agent } from '../../schema/agent.ts'
import { AppError, isAppError } from '../../schema/errors.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import type { Run, Step } from '../../schema/run.ts'
import { agentOfRow, readAgentRow, tagsOfAgent } from './agent-rows.ts'
import { blocksOfAgent } from './block-rows.ts'
import { appendMessages, ContextCache, missingReturns, readContext, rewriteText } from './context.ts'
import type { Database, Transaction } from './database.ts'
import type { Instance } from './instances.ts'
import { archivalSummary, insertPassages } from './passage-rows.ts'
import { query, sqlite } from './query.ts'
import { recover } from './recovery.ts'
import { clearContext, deleteMessages, keepFirst, newestSeq } from './reset.ts'
import {
  type CallbackOutcome,
  cancelRequests,
  deleteRun,
  readStep,
  requestCancel,
  saveCallback,
  updateStep,
} from './run-changes.ts'
import { failRun, insertRun, insertStep, json, readRun, readRuns, readSteps } from './runs.ts'
import { applyEdits } from './step-edits.ts'
import { toolsOfAgent } from './tools.ts'

const conversationById = query<{ id: string; org: string }>()((p) =>
  sqlite.selectFrom('conversations').selectAll().where('id', '=', p.id).where('organization_id', '=', p.org),
)
const storedCount = query<{ agent: string; org: string }>()((p) =>
  sqlite
    .selectFrom('conversations')
    .select((eb) => eb.fn.sum<number>('message_count').as('n'))
    .where('agent_id', '=', p.agent)
    .where('organization_id', '=', p.org),
)
const updateConversation = query<{
  id: string
  epoch: number
  run: string | null
  instance: string | null
  version: number
  length: number
  end: number
  count: number
}>()((p) =>
  sqlite
    .updateTable('conversations')
    .set({
      epoch: p.epoch,
      run_id: p.run,
      instance_id: p.instance,
      context_version: p.version,
      context_length: p.length,
      context_end: p.end,
      message_count: p.count,
    })
    .where('id', '=', p.id),
)
const firstInContext = query<{ id: string; org: string }>()((p) =>
  sqlite
    .selectFrom('context_messages')
    .innerJoin('messages', 'messages.seq', 'context_messages.message_seq')
    .select('messages.id')
    .where('context_messages.conversation_id', '=', p.id)
    .where('context_messages.organization_id', '=', p.org)
    .orderBy('context_messages.position')
    .limit(1),
)
const finishRun = query<{
  id: string
  status: string
  stop: string
  at: string
  ttft: number | null
  duration: number
  metadata: string | null
}>()((p) =>
  sqlite
    .updateTable('runs')
    .set({
      status: p.status,
      stop_reason: p.stop,
      completed_at: p.at,
      ttft_ns: p.ttft,
      total_duration_ns: p.duration,
      metadata: p.metadata,
    })
    .where('id', '=', p.id),
)
const finishAgent = query<{ id: string; at: string; ms: number; stop: string }>()((p) =>
  sqlite
    .updateTable('agents')
    .set({ last_run_completion: p.at, last_run_duration_ms: p.ms, last_stop_reason: p.stop })
    .where('id', '=', p.id),
)

type Conversation = NonNullable<ReturnType<typeof conversationById.get>>

/**
 * Turns of conversations, two write transactions for a plain one. The messages of an opened turn's context are shared
 * with later turns: read them, never change them.
 */
export class SqliteTurns implements TurnStore {
  readonly #database: Database
  readonly #instance: Instance
  readonly #contexts = new ContextCache()

  constructor(database: Database, instance: Instance) {
    this.#database = database
    this.#instance = instance
  }

  async open(actor: Actor, turn: OpenTurn): Promise<OpenedTurn> {
    // A long context that is not in the cache is read before the lock is taken, not under it.
    await this.#database.read((c) => {
      const conversation = conversationById.get(c, { id: turn.conversation_id, org: actor.organization_id })
      if (!conversation || this.#contexts.get(conversation.id, conversation.context_version)) return
      const context = readContext(c, actor, conversation.id)
      this.#contexts.set(conversation.id, conversation.context_version, context)
    })
    return await this.#database.write((tx) => {
      this.#instance.lock()
      const conversation = conversationById.get(tx, { id: turn.conversation_id, org: actor.organization_id })
      const row = conversation && readAgentRow(tx, actor, conversation.agent_id)
      if (!conversation || !row || row.id !== turn.run.agent_id) throw noConversation(turn)
      if (conversation.run_id !== null) this.#takeOver(tx, conversation, conversation.run_id)
      this.#instance.register(tx)

      const known = this.#contexts.get(conversation.id, conversation.context_version)
      const agentRow = agentOfRow(row)
      const whole = known ?? readContext(tx, actor, conversation.id)
      const cleared = agentRow.message_buffer_autoclear && whole.length > 1
      if (cleared) keepFirst(tx, conversation.id)
      const before = cleared ? whole.slice(0, 1) : whole
      const healed = missingReturns(before, turn.run.created_at)
      const added = appendMessages(tx, actor, conversation.id, conversation.context_end, [
        ...healed,
        ...turn.messages,
      ])
      const context = [...before, ...added]
      const epoch = conversation.epoch + 1
      const version = conversation.context_version + 1
      updateConversation.run(tx, {
        id: conversation.id,
        epoch,
        run: turn.run.id,
        instance: this.#instance.id,
        version,
        length: before.length + added.length,
        end: conversation.context_end + added.length,
        count: conversation.message_count + added.length,
      })
      insertRun(tx, actor, turn.run, {
        conversation_id: conversation.id,
        instance_id: this.#instance.id,
      })
      tx.event(actor, 'run.created', turn.run.id, row.id)

      const agent: Agent = {
        ...agentRow,
        blocks: blocksOfAgent(tx, actor, row.id),
        tools: toolsOfAgent(tx, actor, row.id),
        tags: tagsOfAgent(tx, actor, row.id),
        message_ids: context.map((message) => message.id),
      }
      const stored = storedCount.get(tx, { agent: row.id, org: actor.organization_id })?.n ?? 0
      tx.alongside(
        () => {
          this.#contexts.set(conversation.id, version, context)
          this.#instance.leaseTaken(turn.run.id)
        },
        () => {
          this.#contexts.delete(conversation.id)
          this.#instance.leaseReleased(turn.run.id)
        },
      )
      return {
        agent,
        epoch,
        context: [...context],
        recall_count: stored - context.length,
        archival: archivalSummary(tx, actor, row.id),
      }
    })
  }

  async commit(actor: Actor, step: CommitStep): Promise<{ status: 'committed' } | BlockConflict> {
    try {
      return await this.#database.write((tx) => this.#commit(tx, actor, step))
    } catch (error) {
      // A turn that could not even be closed (a full disk) must not hold its conversation until the process ends:
      // its caller may try again, until another turn takes over.
      if (step.finish || isAppError(error, 'lease_lost')) this.#instance.leaseReleased(step.run_id)
      throw error
    }
  }

  recover(): Promise<string[]> {
    return recover(this.#database, this.#instance)
  }

  getRun(actor: Actor, run_id: string): Promise<Run | null> {
    return this.#database.read((c) => readRun(c, actor, run_id))
  }

  listRuns(actor: Actor, filter: RunFilter, page: Page): Promise<Run[]> {
    return this.#database.read((c) => readRuns(c, actor, filter, page))
  }

  deleteRun(actor: Actor, run_id: string): Promise<boolean> {
    return this.#database.write((tx) => deleteRun(tx, actor, run_id))
  }

  saveCallback(actor: Actor, run_id: string, outcome: CallbackOutcome): Promise<void> {
    return this.#database.write((tx) => saveCallback(tx, actor, run_id, outcome))
  }

  requestCancel(actor: Actor, run_id: string): Promise<boolean> {
    return this.#database.write((tx) => requestCancel(tx, actor, run_id))
  }

  cancelRequests(): Promise<string[]> {
    return this.#database.read((c) => cancelRequests(c, this.#instance.id, this.#instance.held()))
  }

  listSteps(actor: Actor, filter: StepFilter, page: Page): Promise<Step[]> {
    return this.#database.read((c) => readSteps(c, actor, filter, page))
  }

  getStep(actor: Actor, step_id: string): Promise<Step | null> {
    return this.#database.read((c) => readStep(c, actor, step_id))
  }

  updateStep(actor: Actor, step_id: string, patch: Pick<Step, 'feedback' | 'tags'>): Promise<Step | null> {
    return this.#database.write((tx) => updateStep(tx, actor, step_id, patch))
  }

  getContext(actor: Actor, agent_id: string, conversation_id: string): Promise<ConversationContext | null> {
    return this.#database.read((c) => {
      const conversation = conversationById.get(c, { id: conversation_id, org: actor.organization_id })
      if (conversation?.agent_id !== agent_id) return null
      const context = readContext(c, actor, conversation_id)
      const stored = storedCount.get(c, { agent: agent_id, org: actor.organization_id })?.n ?? 0
      const archival = archivalSummary(c, actor, agent_id)
      return { context, recall_count: stored - context.length, archival }
    })
  }

  setSystem(actor: Actor, agent_id: string, conversation_id: string, text: string): Promise<void> {
    return this.#database.write((tx) => {
      const conversation = this.#existing(tx, actor, agent_id, conversation_id)
      const first = firstInContext.get(tx, { id: conversation_id, org: actor.organization_id })
      if (!first) return
      rewriteText(tx, actor, conversation_id, first.id, text)
      updateConversation.run(tx, {
        ...rowOf(conversation),
        version: conversation.context_version + 1,
      })
    })
  }

  async reset(actor: Actor, agent_id: string, conversation_id: string, system: StoredMessage): Promise<void> {
    const before = await this.#database.write((tx) => {
      const conversation = this.#existing(tx, actor, agent_id, conversation_id)
      if (conversation.run_id !== null) this.#takeOver(tx, conversation, conversation.run_id)
      clearContext(tx, conversation_id)
      const newest = newestSeq(tx, conversation_id)
      appendMessages(tx, actor, conversation_id, conversation.context_end, [system])
      updateConversation.run(tx, {
        ...rowOf(conversation),
        // A turn that was taken over must not write into the new beginning.
        epoch: conversation.epoch + 1,
        run: null,
        instance: null,
        version: conversation.context_version + 1,
        length: 1,
        end: conversation.context_end + 1,
        count: 1,
      })
      tx.event(actor, 'agent.updated', agent_id, agent_id)
      return newest
    })
    await deleteMessages(this.#database, conversation_id, before)
  }

  #existing(tx: Transaction, actor: Actor, agent_id: string, conversation_id: string): Conversation {
    const conversation = conversationById.get(tx, { id: conversation_id, org: actor.organization_id })
    if (conversation?.agent_id === agent_id) return conversation
    throw noConversation({ conversation_id, run: { agent_id } })
  }

  #commit(tx: Transaction, actor: Actor, step: CommitStep): { status: 'committed' } | BlockConflict {
    const conversation = conversationById.get(tx, { id: step.conversation_id, org: actor.organization_id })
    if (
      !conversation ||
      conversation.agent_id !== step.agent_id ||
      conversation.epoch !== step.epoch ||
      conversation.run_id !== step.run_id ||
      conversation.instance_id !== this.#instance.id
    ) {
      throw new AppError(
        'lease_lost',
        `The run '${step.run_id}' no longer holds its conversation: it was taken over while this process did not ` +
          'answer, it has ended, or the agent was deleted. Nothing of this step was written; send the message again.',
        { data: { run_id: step.run_id } },
      )
    }
    const { agent_id, run_id } = step
    const conflict = applyEdits(tx, actor, step.block_edits, { agent_id, run_id })
    if (conflict) return conflict
    insertPassages(tx, actor, agent_id, step.passages ?? [])

    const added = appendMessages(tx, actor, conversation.id, conversation.context_end, step.messages)
    const system = step.system
      ? rewriteText(tx, actor, conversation.id, step.system.message_id, step.system.text)
      : null
    if (step.step) insertStep(tx, actor, step.step)
    if (step.finish) this.#finish(tx, actor, step, step.finish)
    const changed = added.length > 0 || system !== null
    const version = conversation.context_version + Number(changed)
    if (changed || step.finish) {
      updateConversation.run(tx, {
        id: conversation.id,
        epoch: conversation.epoch,
        run: step.finish ? null : step.run_id,
        instance: step.finish ? null : this.#instance.id,
        version,
        length: conversation.context_length + added.length,
        end: conversation.context_end + added.length,
        count: conversation.message_count + added.length,
      })
    }
    const known = changed ? this.#contexts.get(conversation.id, conversation.context_version) : null
    tx.alongside(
      () => {
        if (known) this.#contexts.set(conversation.id, version, [...replaced(known, system), ...added])
        if (step.finish) this.#instance.leaseReleased(step.run_id)
      },
      // A turn that could not be closed stays given up: the next one takes its conversation over.
      () => this.#contexts.delete(conversation.id),
    )
    return { status: 'committed' }
  }

  #finish(tx: Transaction, actor: Actor, step: CommitStep, finish: FinishRun): void {
    finishRun.run(tx, {
      id: step.run_id,
      status: finish.status,
      stop: finish.stop_reason,
      at: finish.completed_at,
      ttft: finish.ttft_ns,
      duration: finish.total_duration_ns,
      metadata: json(finish.metadata),
    })
    finishAgent.run(tx, {
      id: step.agent_id,
      at: finish.completed_at,
      ms: Math.round(finish.total_duration_ns / 1e6),
      stop: finish.stop_reason,
    })
    tx.event(actor, 'run.updated', step.run_id, step.agent_id)
  }

  /** Fails the run that holds the conversation if its process is gone; throws `conversation_busy` if it is not. */
  #takeOver(tx: Transaction, conversation: Conversation, run_id: string): void {
    const holder = conversation.instance_id
    const mine = holder === this.#instance.id
    if (mine ? this.#instance.holds(run_id) : holder && this.#instance.stateOf(tx, holder) === 'alive') {
      throw new AppError(
        'conversation_busy',
        `Another message is being answered in this conversation (run '${run_id}'). Wait until it ends, or cancel it.`,
        { data: { run_id } },
      )
    }
    failRun(tx, run_id)
  }
}

function replaced(
  messages: readonly StoredMessage[],
  system: StoredMessage | null,
): readonly StoredMessage[] {
  return system ? messages.map((message) => (message.id === system.id ? system : message)) : messages
}

function rowOf(conversation: Conversation) {
  return {
    id: conversation.id,
    epoch: conversation.epoch,
    run: conversation.run_id,
    instance: conversation.instance_id,
    version: conversation.context_version,
    length: conversation.context_length,
    end: conversation.context_end,
    count: conversation.message_count,
  }
}

function noConversation(turn: { conversation_id: string; run: { agent_id: string } }): AppError {
  const of =
    turn.conversation_id === turn.run.agent_id ? '' : `conversation '${turn.conversation_id}' of the `
  return new AppError('not_found', `There is no ${of}agent '${turn.run.agent_id}'.`)
}

import type { Actor } from '../../core/ports/actor.ts'
import { approvalPending, missingReturns, pendingApproval } from '../../core/ports/open-calls.ts'
import type { RunFilter, StepFilter } from '../../core/ports/run-store.ts'
import type {
  BlockConflict,
  Committed,
  CommitStep,
  ConversationContext,
  OpenedTurn,
  OpenTurn,
  TakenOver,
  TurnStore,
  UncalledRun,
} from '../../core/ports/turn-store.ts'
import { AppError, isAppError } from '../../schema/errors.ts'
import type { StoredMessage } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import type { Run, Step } from '../../schema/run.ts'
import { takeUncalled } from './callbacks.ts'
import { agentOfRow, readAgentRow } from './agent-rows.ts'
import { contextUsageOf } from './compactions.ts'
import { readConversationRow } from './conversation-rows.ts'
import { appendMessages, ContextCache, readContext, readLongContext, rewriteText } from './context.ts'
import type { Database, Transaction } from './database.ts'
import type { Instance } from './instances.ts'
import { takeOver } from './lease.ts'
import { freeConversationOf, interruptedRuns, recover } from './recovery.ts'
import { beginHistory, clearContext, deleteMessages, keepFirst, newestSeq, newestShared } from './reset.ts'
import { refuseRepeated } from './repeated-requests.ts'
import { keepOtids, refuseRepetition } from './run-chunks.ts'
import {
  type CallbackOutcome,
  cancelRequests,
  deleteRun,
  readStep,
  requestCancel,
  saveCallback,
  updateStep,
} from './run-changes.ts'
import { failRun, insertRun, json, readRun, readRuns, readSteps } from './runs.ts'
import { holdRun, readInterrupted } from './take-over.ts'
import {
  type Conversation,
  conversationById,
  firstInContext,
  rowOf,
  updateConversation,
} from './turn-queries.ts'
import { TraceWriter } from './traces.ts'
import { type Seen, agentIn, whatIsSeen } from './seen-by-conversation.ts'
import { commitStep, isHeld, leaseLost } from './turn-commit.ts'
import { editContext, planEdit, type PlannedEdit } from './turn-edits.ts'

/**
 * Turns of conversations, two write transactions for a plain one. The messages of an opened turn's context are shared
 * with later turns: read them, never change them.
 */
export class SqlTurns implements TurnStore {
  readonly #database: Database
  readonly #instance: Instance
  readonly #contexts = new ContextCache()
  readonly #traces = new TraceWriter()

  constructor(database: Database, instance: Instance) {
    this.#database = database
    this.#instance = instance
  }

  async open(actor: Actor, turn: OpenTurn): Promise<OpenedTurn> {
    const planned = await this.#plan(actor, turn)
    const wanted = () => {
      if (turn.signal?.aborted) throw new AppError('cancelled', 'the client left before its turn began')
    }
    const begin = async (tx: Transaction): Promise<OpenedTurn> => {
      wanted()
      await this.#instance.lock()
      const { conversation_id } = turn
      const [conversation, row, seen] = await Promise.all([
        readConversationRow(tx, actor, conversation_id),
        readAgentRow(tx, actor, turn.run.agent_id),
        whatIsSeen(tx, actor, { agent_id: turn.run.agent_id, conversation_id }),
      ])
      if (!row || conversation?.agent_id !== row.id) throw noConversation(turn)
      if (turn.otids) await refuseRepetition(tx, actor, conversation.id, turn.otids)
      if (turn.request) await refuseRepeated(tx, actor, conversation, turn.request, this.#database.now())
      if (conversation.run_id !== null) await this.#takeOver(tx, conversation, conversation.run_id)
      await this.#instance.register(tx)
      await insertRun(tx, actor, turn.run, {
        conversation_id: conversation.id,
        instance_id: this.#instance.id,
        stream: Number(turn.recorded ?? false),
        resume: json(turn.resume ?? null),
      })
      if (turn.otids) await keepOtids(tx, conversation.id, turn.otids, turn.run.id)
      await tx.event(actor, 'run.created', turn.run.id, row.id)
      const edited = turn.edit
        ? await editContext(tx, actor, conversation, turn.edit.message_id, planned)
        : null
      const agent = agentOfRow(row)
      const opened = await this.#begin(tx, actor, edited?.conversation ?? conversation, agent, {
        run_id: turn.run.id,
        messages: turn.messages,
        now: turn.run.created_at,
        // What answers a request for approval needs the request before it.
        autoclear: agent.message_buffer_autoclear && turn.approval === undefined,
        approval: turn.approval ?? null,
        seen,
        request: turn.request?.key ?? null,
        ...(edited ? { context: edited.context } : {}),
      })
      wanted()
      return opened
    }
    // An edit also decides on messages that a clean-up may remove.
    const options = { guarded: turn.edit === undefined }
    if (!turn.early) return await this.#database.write(begin, options)
    const { value, durable } = await this.#database.writeEarly(begin, options)
    return { ...value, durable }
  }

  takeOver(run_id: string, { max_attempts }: { max_attempts: number }): Promise<TakenOver | null> {
    return this.#database.write(
      async (tx) => {
        await this.#instance.lock()
        const isGone = async (holder: string | null) =>
          holder === this.#instance.id
            ? !this.#instance.holds(run_id)
            : holder === null || (await this.#instance.stateOf(tx, holder)) !== 'alive'
        const found = await readInterrupted(tx, run_id, { max_attempts, isGone })
        if (!found) return null
        if (found === 'given up') {
          await freeConversationOf(tx, run_id)
          return null
        }
        const { actor, conversation_id, ...left } = found
        const conversation = await conversationById.get(tx, {
          id: conversation_id,
          org: actor.organization_id,
        })
        const row = conversation && (await readAgentRow(tx, actor, conversation.agent_id))
        if (!conversation || !row || conversation.run_id !== run_id) {
          // Its conversation went on without it, or is gone.
          await failRun(tx, run_id)
          return null
        }
        await this.#instance.register(tx)
        await holdRun(tx, run_id, this.#instance.id)
        const seen = await whatIsSeen(tx, actor, { agent_id: row.id, conversation_id })
        const opened = await this.#begin(tx, actor, conversation, agentOfRow(row), {
          run_id,
          messages: [],
          now: this.#database.now().toISOString(),
          autoclear: false,
          seen,
        })
        return { ...left, conversation_id, organization_id: actor.organization_id, opened }
      },
      { guarded: true },
    )
  }

  takeUncalled(): Promise<UncalledRun[]> {
    return takeUncalled(this.#database, this.#instance)
  }

  interrupted(): Promise<string[]> {
    return interruptedRuns(this.#database, this.#instance)
  }

  /** Gives the conversation to a run of this instance and reads what its turn begins with. */
  async #begin(
    tx: Transaction,
    actor: Actor,
    conversation: Conversation,
    agentRow: ReturnType<typeof agentOfRow>,
    turn: {
      run_id: string
      messages: readonly StoredMessage[]
      now: string
      autoclear: boolean
      /** As it was before; a turn begins with nothing that changes it but messages. */
      seen: Seen
      /** Of a new turn: which request has begun it. */
      request?: string | null
      /** The request for approval that is answered, null when none is; absent when it does not matter. */
      approval?: string | null
      /** What is in context, when that has just been changed. */
      context?: readonly StoredMessage[]
    },
  ): Promise<OpenedTurn> {
    const known = turn.context ?? this.#contexts.get(conversation.id, conversation.context_version)
    const whole = known ?? (await readContext(tx, actor, conversation.id))
    if (turn.approval !== undefined) checkApproval(whole, turn.approval, conversation.id)
    const cleared = turn.autoclear && whole.length > 1
    if (cleared) await keepFirst(tx, conversation.id)
    const before = cleared ? whole.slice(0, 1) : whole
    const healed = missingReturns(before, conversation.id, turn.now)
    const added = await appendMessages(tx, actor, conversation.id, conversation.context_end, [
      ...healed,
      ...turn.messages,
    ])
    const context = before.concat(added)
    const epoch = conversation.epoch + 1
    const version = conversation.context_version + 1
    await updateConversation.send(tx, {
      id: conversation.id,
      epoch,
      run: turn.run_id,
      instance: this.#instance.id,
      version,
      length: before.length + added.length,
      end: conversation.context_end + added.length,
      count: conversation.message_count + added.length,
      last_run: turn.run_id,
      last_request: turn.request === undefined ? conversation.last_request : turn.request,
      ...(turn.messages.length > 0 ? { message_at: turn.now } : {}),
    })
    const { seen } = turn
    const agent = agentIn(conversation, agentRow, seen, context)
    tx.alongside(
      () => this.#instance.leaseTaken(turn.run_id, epoch),
      () => this.#instance.leaseReleased(turn.run_id, epoch),
    )
    tx.afterwards(
      () => {
        this.#instance.leaseShown(turn.run_id, epoch)
        this.#contexts.set(conversation.id, version, context)
      },
      () => this.#contexts.delete(conversation.id),
    )
    return {
      agent,
      epoch,
      context: context.slice(),
      context_usage: cleared || turn.context ? null : contextUsageOf(conversation),
      added: added.length,
      recall_count: seen.stored + added.length - context.length,
      archival: seen.archival,
    }
  }

  async commit(actor: Actor, step: CommitStep): Promise<Committed | BlockConflict> {
    // The first passage makes an archive, which another conversation of the agent may be doing, too.
    const options = { guarded: (step.passages ?? []).length === 0, hurried: step.hurried ?? false }
    const kept = { instance: this.#instance, contexts: this.#contexts, traces: this.#traces }
    try {
      if (!step.early || step.finish)
        return await this.#database.write(async (tx) => await commitStep(tx, actor, step, kept), options)
      const { value, durable } = await this.#database.writeEarly(
        async (tx) => await commitStep(tx, actor, step, kept),
        options,
      )
      return value.status === 'committed' ? { ...value, durable } : value
    } catch (error) {
      // A turn that could not even be closed (a full disk) must not hold its conversation until the process ends:
      // its caller may try again, until another turn takes over.
      if (isAppError(error, 'lease_lost')) this.leave(step.run_id, step.epoch)
      // Who could not store that a turn is complete still has to close it, as one that failed.
      else if (step.finish && step.finish.status !== 'completed') {
        this.leave(step.run_id, step.epoch)
        this.#instance.ends.set(step.run_id, step.finish)
      }
      throw error
    }
  }

  leave(run_id: string, epoch: number): void {
    this.#instance.leaseReleased(run_id, epoch)
  }

  answerApproval(
    actor: Actor,
    { agent_id, conversation_id, approval }: { agent_id: string; conversation_id: string; approval: string },
    messages: readonly StoredMessage[],
  ): Promise<void> {
    return this.#database.write(async (tx) => {
      const conversation = await this.#existing(tx, actor, agent_id, conversation_id)
      if (conversation.run_id !== null) await this.#takeOver(tx, conversation, conversation.run_id)
      checkApproval(await readContext(tx, actor, conversation_id), approval, conversation_id)
      await appendMessages(tx, actor, conversation_id, conversation.context_end, messages)
      await updateConversation.send(tx, {
        ...rowOf(conversation),
        run: null,
        instance: null,
        version: conversation.context_version + 1,
        length: conversation.context_length + messages.length,
        end: conversation.context_end + messages.length,
        count: conversation.message_count + messages.length,
      })
      await tx.event(actor, 'agent.updated', agent_id, agent_id)
    })
  }

  recover(): Promise<string[]> {
    return recover(this.#database, this.#instance)
  }

  getRun(actor: Actor, run_id: string): Promise<Run | null> {
    return this.#database.read(async (c) => await readRun(c, actor, run_id))
  }

  listRuns(actor: Actor, filter: RunFilter, page: Page): Promise<Run[]> {
    return this.#database.read(async (c) => await readRuns(c, actor, filter, page))
  }

  deleteRun(actor: Actor, run_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => await deleteRun(tx, actor, run_id))
  }

  saveCallback(actor: Actor, run_id: string, outcome: CallbackOutcome): Promise<void> {
    return this.#database.write(async (tx) => await saveCallback(tx, actor, run_id, outcome))
  }

  requestCancel(actor: Actor, run_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => await requestCancel(tx, actor, run_id))
  }

  cancelUnheard(actor: Actor, run_id: string): Promise<boolean> {
    return this.#database.write(async (tx) => {
      if (!(await readRun(tx, actor, run_id))) return false
      const cancelled = await failRun(tx, run_id, CANCELLED)
      if (cancelled) await freeConversationOf(tx, run_id)
      return cancelled
    })
  }

  standstills(): number {
    return this.#instance.standstills()
  }

  async checkLease(
    actor: Actor,
    { conversation_id: id, run_id, epoch }: Pick<CommitStep, 'conversation_id' | 'run_id' | 'epoch'>,
  ): Promise<void> {
    const org = actor.organization_id
    const conversation = await this.#database.read((c) => conversationById.get(c, { id, org }))
    if (!isHeld(conversation, { run_id, epoch }, this.#instance.id)) throw leaseLost(run_id)
  }

  cancelRequests(): Promise<string[]> {
    return this.#database.read(async (c) => await cancelRequests(c, this.#instance.id, this.#runsHeld()))
  }

  /** An instance holds files that it reads, too. */
  #runsHeld(): string[] {
    return this.#instance.held().filter((id) => id.startsWith('run-'))
  }

  listSteps(actor: Actor, filter: StepFilter, page: Page): Promise<Step[]> {
    return this.#database.read(async (c) => await readSteps(c, actor, filter, page))
  }

  getStep(actor: Actor, step_id: string): Promise<Step | null> {
    return this.#database.read(async (c) => await readStep(c, actor, step_id))
  }

  updateStep(actor: Actor, step_id: string, patch: Pick<Step, 'feedback' | 'tags'>): Promise<Step | null> {
    return this.#database.write(async (tx) => await updateStep(tx, actor, step_id, patch))
  }

  async getContext(
    actor: Actor,
    agent_id: string,
    conversation_id: string,
  ): Promise<ConversationContext | null> {
    await this.#readAhead(actor, conversation_id)
    return this.#database.read(async (c) => {
      const [conversation, row, seen] = await Promise.all([
        readConversationRow(c, actor, conversation_id),
        readAgentRow(c, actor, agent_id),
        whatIsSeen(c, actor, { agent_id, conversation_id }),
      ])
      if (!row || conversation?.agent_id !== agent_id) return null
      const known = this.#contexts.get(conversation_id, conversation.context_version)
      const context = known ? [...known] : await readContext(c, actor, conversation_id)
      const agent = agentIn(conversation, agentOfRow(row), seen, context)
      const context_usage = contextUsageOf(conversation)
      const { stored, archival } = seen
      return { agent, context, context_usage, recall_count: stored - context.length, archival }
    })
  }

  setSystem(actor: Actor, agent_id: string, conversation_id: string, text: string): Promise<void> {
    return this.#database.write(async (tx) => {
      const conversation = await this.#existing(tx, actor, agent_id, conversation_id)
      const first = await firstInContext.get(tx, { id: conversation_id, org: actor.organization_id })
      if (!first) return
      await rewriteText(tx, actor, conversation_id, first.id, text)
      await updateConversation.send(tx, {
        ...rowOf(conversation),
        version: conversation.context_version + 1,
      })
    })
  }

  async reset(
    actor: Actor,
    agent_id: string,
    conversation_id: string,
    system: StoredMessage,
    more: readonly StoredMessage[] = [],
  ): Promise<void> {
    const messages = [system, ...more]
    const gone = await this.#database.write(async (tx) => {
      const conversation = await this.#existing(tx, actor, agent_id, conversation_id)
      if (conversation.run_id !== null) await this.#takeOver(tx, conversation, conversation.run_id)
      await clearContext(tx, conversation_id)
      const newest = await newestSeq(tx, conversation_id)
      const shared = await newestShared(tx, agent_id, conversation_id)
      await beginHistory(tx, conversation_id, newest)
      await appendMessages(tx, actor, conversation_id, conversation.context_end, messages)
      await updateConversation.send(tx, {
        ...rowOf(conversation),
        // A turn that was taken over must not write into the new beginning.
        epoch: conversation.epoch + 1,
        run: null,
        instance: null,
        version: conversation.context_version + 1,
        length: messages.length,
        end: conversation.context_end + messages.length,
        count: messages.length,
      })
      const type = conversation_id === agent_id ? 'agent.updated' : 'conversation.updated'
      await tx.event(actor, type, conversation_id, agent_id)
      return { after: shared, up_to: newest }
    })
    await deleteMessages(this.#database, conversation_id, gone)
  }

  /** Puts a long context into the cache without holding up others. */
  async #readAhead(actor: Actor, conversation_id: string): Promise<void> {
    if (this.#contexts.has(conversation_id)) return
    const read = await readLongContext(this.#database, actor, conversation_id)
    if (read) this.#contexts.set(conversation_id, read.version, read.messages)
  }

  /** A long context that is not in the cache is read before the lock is taken, not under it. */
  async #plan(actor: Actor, turn: OpenTurn): Promise<PlannedEdit | undefined> {
    // Nearly always it is as it was left here; what another process made of it is then read under the lock.
    if (!turn.edit && this.#contexts.has(turn.conversation_id)) return
    if (!turn.edit) await this.#readAhead(actor, turn.conversation_id)
    return this.#database.read(async (c) => {
      const conversation = await readConversationRow(c, actor, turn.conversation_id)
      if (conversation && turn.edit) return await planEdit(c, actor, conversation, turn.edit.message_id)
      if (!conversation || this.#contexts.get(conversation.id, conversation.context_version)) return
      const context = await readContext(c, actor, conversation.id)
      this.#contexts.set(conversation.id, conversation.context_version, context)
    })
  }

  async #existing(
    tx: Transaction,
    actor: Actor,
    agent_id: string,
    conversation_id: string,
  ): Promise<Conversation> {
    const conversation = await readConversationRow(tx, actor, conversation_id)
    if (conversation?.agent_id === agent_id) return conversation
    throw noConversation({ conversation_id, run: { agent_id } })
  }

  /** Fails the run that holds the conversation if its process is gone; throws `conversation_busy` if it is not. */
  async #takeOver(tx: Transaction, conversation: Conversation, run_id: string): Promise<void> {
    await takeOver(tx, this.#instance, { run_id, instance_id: conversation.instance_id })
  }
}

const CANCELLED = { status: 'cancelled', stop_reason: 'cancelled', metadata: null } as const

function noConversation(turn: { conversation_id: string; run: { agent_id: string } }): AppError {
  const of =
    turn.conversation_id === turn.run.agent_id ? '' : `conversation '${turn.conversation_id}' of the `
  return new AppError('not_found', `There is no ${of}agent '${turn.run.agent_id}'.`)
}

function checkApproval(
  context: readonly StoredMessage[],
  answered: string | null,
  conversation_id: string,
): void {
  const pending = pendingApproval(context)
  if (pending && pending.id !== answered) throw approvalPending(pending, conversation_id)
  if (!pending && answered !== null)
    throw new AppError('conflict', `the request for approval '${answered}' was answered in the meantime`)
}

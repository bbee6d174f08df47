import type { Agent } from '../../schema/agent.ts'
import type { Block, CreateBlock } from '../../schema/block.ts'
import type { StopReason, StoredMessage } from '../../schema/message.ts'
import type { Page } from '../../schema/page.ts'
import type { Run, RunStatus, Step } from '../../schema/run.ts'
import type { Actor } from './actor.ts'
import type { ContextCompaction, ContextUsage } from './compaction-store.ts'
import type { NewPassage } from './passage-store.ts'
import type { NewTrace } from './trace-store.ts'
import type { RunFilter, StepFilter } from './run-store.ts'
import type { RunChunks } from './run-stream-store.ts'

/** A turn to begin. `messages` are stored in the same transaction, before any model is asked. */
export interface OpenTurn {
  run: Run
  /** The agent's id for its default conversation. */
  conversation_id: string
  messages: StoredMessage[]
  /** The request for approval that `messages` answers; without it none may be pending. */
  approval?: string
  /** What another process needs to go on with the run should this one die; without it the run is failed then. */
  resume?: Record<string, unknown>
  /** Its stream is stored (`RunStreamStore`). */
  recorded?: boolean
  /** Ids that a client gave its input, to say it twice and be heard once. */
  otids?: readonly string[]
  /**
   * A digest that tells the request from all others but its own repetitions; whether its client says that it is one
   * (`again`), and whether the client gave its input names of its own (`named`).
   */
  request?: { key: string; again: boolean; named: boolean }
  /** Nothing begins once it has aborted, for as long as that can be helped: its client has left, and asks again elsewhere. */
  signal?: AbortSignal
  /** Cuts the context before this message of a user first: `messages` stand in its place. Nothing leaves the history. */
  edit?: { message_id: string }
  /** Resolve once it is committed, before it is on disk: see `OpenedTurn.durable`. */
  early?: boolean
}

export interface OpenedTurn {
  /** As the conversation sees it: with its private blocks, its model and settings. */
  agent: Agent
  /** Fences every write of this turn. */
  epoch: number
  /** What the model may see, in order: the system message, then the rest up to and with the turn's own input. */
  context: StoredMessage[]
  /** The size of `context` without its last `added` messages, which came with this turn. */
  context_usage: ContextUsage | null
  added: number
  /** Messages of the agent that are stored but not in `context`. */
  recall_count: number
  /** Passages in the agent's archives, and their tags in order of the alphabet (the first hundred). */
  archival: { count: number; tags: string[] }
  /**
   * Of a turn that was opened `early`: resolves when its input is on disk, rejects when that failed. Nobody may be told
   * of the run before.
   */
  durable?: Promise<void>
}

/** New fields of a block that still has `base_version`; absent ones stay. */
export interface BlockChange {
  block_id: string
  base_version: number
  value?: string
  label?: string
  description?: string | null
}

/** What a step does to one block of its agent: change it, take it from the agent, or make it and attach it. */
export type BlockEdit =
  | BlockChange
  | { block_id: string; base_version: number; detach: true }
  | { block_id: string; create: CreateBlock }

/** A step's block edits were made on blocks that have changed meanwhile: nothing of it was written. */
export interface BlockConflict {
  status: 'conflict'
  /** The agent's blocks as they are now. */
  blocks: Block[]
  /** New labels that cannot be: another agent shares the block and has one of that label. */
  refused_labels?: { block_id: string; label: string }[]
}

export interface FinishRun {
  status: Exclude<RunStatus, 'created' | 'running'>
  stop_reason: StopReason
  completed_at: string
  ttft_ns: number | null
  total_duration_ns: number
  metadata: Record<string, unknown> | null
}

/** One step, committed whole: messages, context, block edits, usage and, at the end, the run's outcome. */
export interface CommitStep {
  agent_id: string
  conversation_id: string
  run_id: string
  epoch: number
  step: Step | null
  /** What its model was asked and what it answered. */
  trace?: NewTrace
  /** Appended to history and to the context, in order. */
  messages: StoredMessage[]
  /** New text of the system message, when the prompt was compiled again in this turn. */
  system?: { message_id: string; text: string }
  block_edits: BlockEdit[]
  /** For the agent's default archive, as `PassageStore.create` stores them. */
  passages?: NewPassage[]
  /** Puts a summary in the place of the older part of the context, after `messages` are in it. */
  compaction?: ContextCompaction
  /** Messages that leave the context and stay in the history: input that no model can be shown. */
  drop?: string[]
  /** How large the context is with this step; absent: as it was. */
  context_usage?: ContextUsage
  /** Ends the run and releases the conversation. */
  finish?: FinishRun
  /** What clients were sent of it, for a run whose stream is stored. */
  chunks?: RunChunks
  /** Resolve once it is committed, before it is on disk: see `Committed.durable`. Not with `finish`. */
  early?: boolean
  /** A store that is away has been waited for: it is given a moment, and not the usual time. */
  hurried?: boolean
}

/** A step that was written. */
export interface Committed {
  status: 'committed'
  /** Of an `early` one: resolves when it is on disk, rejects when that failed. Nobody may be told of it before. */
  durable?: Promise<void>
}

/** A run of a process that is gone, held by this one from now on. */
export interface TakenOver {
  run: Run
  conversation_id: string
  organization_id: string
  /** As `OpenTurn.resume` gave it. */
  resume: Record<string, unknown>
  opened: OpenedTurn
  /** The last chunk of its stream that was stored; 0 when there is none. */
  last_seq: number
  /** Model calls it has committed. */
  steps: number
  /** How often it has been taken over since its last committed step, this time included. */
  attempt: number
  cancel_requested: boolean
}

/** A conversation as its prompt is compiled from. */
export interface ConversationContext {
  /** As the conversation sees it, with all relations. */
  agent: Agent
  /** What the model sees, the system message first. */
  context: StoredMessage[]
  context_usage: ContextUsage | null
  /** Messages of the agent that are stored but not in `context`. */
  recall_count: number
  archival: OpenedTurn['archival']
}

/** An ended run whose `callback_url` was not called. */
export interface UncalledRun {
  run: Run
  organization_id: string
}

export interface TurnStore {
  /**
   * Takes the conversation's lease. Throws `not_found`, `conversation_busy` with `data.run_id`,
   * `pending_approval` with `data.pending_request_id`, `conflict` when `approval` is not pending, or `already_started` with
   * `data.run_id` when a run with the same otids is active or has been completed, or the same `request` began the last
   * run of the conversation, which is active or has ended a short time ago; `cancelled` when `signal` has aborted.
   */
  open(actor: Actor, turn: OpenTurn): Promise<OpenedTurn>
  /**
   * Throws `lease_lost` when another instance took the conversation over. A block that was changed meanwhile, or a
   * label that was taken, refuses the whole step: the caller applies its tools to the present blocks again. A `finish`
   * that is not stored ends the work of this process on the run, as `leave`, and how it was to end is made good later; only
   * that of a completed run does not: it is to be closed as failed, or left.
   */
  commit(actor: Actor, step: CommitStep): Promise<Committed | BlockConflict>
  /**
   * Fails the runs of instances that are gone and frees their conversations. Returns the run ids. Runs that can be gone on
   * with are left to `takeOver`.
   */
  recover(): Promise<string[]>
  /**
   * This process works on the run no more, which nobody has ended: who finds it goes on with it, or fails it when that
   * cannot be done. Writes nothing.
   */
  leave(run_id: string, epoch: number): void
  /** Runs of instances that are gone and that can be gone on with, of every organisation. */
  interrupted(): Promise<string[]>
  /**
   * Makes such a run one of this instance, with a new epoch; open tool calls get an error return. Null when it is not
   * interrupted (any more), or has been taken over `max_attempts` times since its last committed step: then it is failed.
   */
  takeOver(run_id: string, options: { max_attempts: number }): Promise<TakenOver | null>
  /**
   * Stores the answer to a request for approval without a turn that acts on it. Throws `not_found`, `conversation_busy`,
   * and as `open` when that request is not pending.
   */
  answerApproval(
    actor: Actor,
    target: { agent_id: string; conversation_id: string; approval: string },
    messages: readonly StoredMessage[],
  ): Promise<void>
  getRun(actor: Actor, run_id: string): Promise<Run | null>
  listRuns(actor: Actor, filter: RunFilter, page: Page): Promise<Run[]>
  /** Deletes a run and its steps; its messages stay. False when there is none; throws `conflict` while it runs. */
  deleteRun(actor: Actor, run_id: string): Promise<boolean>
  /** Ended runs, of any organisation, whose process died before it called back: from now on this one is to do it. */
  takeUncalled(): Promise<UncalledRun[]>
  /** Keeps how the call of a run's `callback_url` went. */
  saveCallback(
    actor: Actor,
    run_id: string,
    outcome: Pick<Run, 'callback_sent_at' | 'callback_status_code' | 'callback_error'>,
  ): Promise<void>
  /** Asks whichever process runs it to cancel this run. False when it is not running. */
  requestCancel(actor: Actor, run_id: string): Promise<boolean>
  /**
   * Cancels a run whose process does not obey: its conversation is free, and that process can write nothing of it any
   * more. False when it is not running.
   */
  cancelUnheard(actor: Actor, run_id: string): Promise<boolean>
  /**
   * How often this process has stood still for so long that others may have taken its turns over: as long as that has not
   * changed it holds what it held.
   */
  standstills(): number
  /** Throws `lease_lost` when the run is not this process's any more. */
  checkLease(actor: Actor, lease: Pick<CommitStep, 'conversation_id' | 'run_id' | 'epoch'>): Promise<void>
  /**
   * Runs of this process that are to stop: their cancellation was asked for, or their agent or conversation deleted, by any
   * process and any organisation.
   */
  cancelRequests(): Promise<string[]>
  listSteps(actor: Actor, filter: StepFilter, page: Page): Promise<Step[]>
  getStep(actor: Actor, step_id: string): Promise<Step | null>
  updateStep(actor: Actor, step_id: string, patch: Pick<Step, 'feedback' | 'tags'>): Promise<Step | null>
  /** Null when there is no such conversation of this agent. */
  getContext(actor: Actor, agent_id: string, conversation_id: string): Promise<ConversationContext | null>
  /** Puts a new text in the conversation's system message, also while a turn runs, which keeps its own. */
  setSystem(actor: Actor, agent_id: string, conversation_id: string, text: string): Promise<void>
  /**
   * Begins the conversation anew: its messages are deleted and `system`, then `more`, is all that is left. Throws `not_found`, and
   * `conversation_busy` with `data.run_id` while a turn runs.
   */
  reset(
    actor: Actor,
    agent_id: string,
    conversation_id: string,
    system: StoredMessage,
    more?: readonly StoredMessage[],
  ): Promise<void>
}

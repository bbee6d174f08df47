import type { ClientSkill, ClientTool, TurnMessage } from '../../schema/message.ts'
import type { Run } from '../../schema/run.ts'
import type { AgentEvent, TurnResult } from '../events.ts'
import type { Actor } from '../ports/actor.ts'
import type { AgentChain } from '../teams/chain.ts'
import type { ChunkEncoder, RunRecording } from './recording.ts'

/** A turn to begin, as its requests ask for it. */
export interface StartRun {
  agent_id: string
  /** The agent's id for its default conversation. */
  conversation_id: string
  messages: TurnMessage[]
  /** As `TurnInput` has them. */
  client_tools: ClientTool[]
  client_skills: ClientSkill[]
  max_steps: number
  stream_tokens: boolean
  override_model: string | null
  override_system: string | null
  /** Ask for log probabilities, whatever the agent's settings say. */
  logprobs: { top: number | null } | null
  /** Nobody waits for it. */
  background: boolean
  /** Its stream is stored: how its chunks are made, and what another process needs to make them. */
  recording?: { encoder: (run_id: string) => ChunkEncoder; wire: Record<string, unknown> } | null
  /** Ids that its client gave the input: a second run with the same ones does not begin. */
  otids?: string[] | null
  /** `messages` stand in the place of this one of a user, and of all that came after it. */
  edit?: { message_id: string } | null
  /** As `TurnInput` has it. */
  batch_item_id?: string | null
  callback_url: string | null
  /** What tells this request from all others but its own repetitions; null when it cannot be repeated. */
  fingerprint: string | null
  /** Whether its client says that it repeats it, and whether the client gave its input names of its own (`otids`). */
  repeats?: { again: boolean; named: boolean }
  /** Aborts when a client has left that asks again: a turn that has not begun then need not. */
  signal?: AbortSignal | null
  /** Kept with the run for whoever looks at it later. */
  request_config: Record<string, unknown> | null
  /** How the turn came about; absent when a user or program asked for it. */
  chain?: AgentChain
}

/** A turn that runs in this process, whoever listens. */
export interface ActiveRun {
  run: Run
  /** Whose it is. */
  actor: Actor
  /** The stream of a background run; it has no events to follow. */
  recording: RunRecording | null
  /** Left to another process when this one stopped; `done` is not its end then. */
  handedOver(): boolean
  /** Everything from `run_start` on, in batches. */
  follow(signal: AbortSignal): AsyncIterable<readonly AgentEvent[]>
  /** How many events there have been. */
  events(): number
  /** Never rejects: a failed turn, also by a failure of ours (the store), is a result. */
  done: Promise<TurnResult>
  cancel(): void
  /** Ends it as failed: what it has stored did not reach the disk. */
  fail(error: unknown): void
}

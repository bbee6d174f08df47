import type { ClientSkill, ClientTool, StoredMessage } from '../../schema/message.ts'
import type { Run } from '../../schema/run.ts'
import type { Actor } from '../ports/actor.ts'
import type { AgentMessaging } from '../ports/tools.ts'
import type { OpenedTurn } from '../ports/turn-store.ts'

/** A turn whose input is stored, and what its request asks of it. */
export interface TurnInput {
  actor: Actor
  run: Run
  conversation_id: string
  /** Its context may end with new input, or with nothing new: then the model is asked to go on from there. */
  opened: OpenedTurn
  /** Model calls at the most; the last one may still run its tools. */
  max_steps: number
  /** Pass the model's deltas on as they come. */
  stream_tokens: boolean
  /** Instead of the agent's model, for this turn. */
  override_model: string | null
  /** Instead of the agent's system message, for this turn. */
  override_system: string | null
  /** Ask for log probabilities, whatever the agent's settings say. */
  logprobs: { top: number | null } | null
  /** Tools that the client runs itself; a call of one ends the turn until its return is sent. */
  client_tools: readonly ClientTool[]
  /** Told in the system message of this turn's requests. */
  client_skills: readonly ClientSkill[]
  /** Input that follows the calls which the turn was allowed to run; stored with their returns. */
  follow_ups: readonly StoredMessage[]
  /** The request of a batch that began it, when its model calls go through batches of the provider. */
  batch_item_id?: string | null
  /** How its agent speaks to others. */
  messaging: AgentMessaging
}

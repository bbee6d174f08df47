import type { AgentSecret } from '../../schema/agent.ts'
import type { Actor } from './actor.ts'

/**
 * What the tools of an agent may know and nobody else: names and values for their environment. They are set with the
 * agent (`NewAgent.secrets`, `AgentPatch.secrets`), encrypted where they are stored, and read here when a tool needs them.
 */
export interface SecretStore {
  /** In the order they were given; none for an agent that is not there. Throws `secrets_unreadable`. */
  values(actor: Actor, agent_id: string): Promise<Record<string, string>>
  /** The names alone; needs no key. */
  names(actor: Actor, agent_id: string): Promise<string[]>
  /** What can be told of them without the key: no `value`, and a `description` that says why. */
  unread(actor: Actor, agent_id: string): Promise<AgentSecret[]>
}

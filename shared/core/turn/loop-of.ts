import type { Agent } from '../../schema/agent.ts'
import type { AgentLoop } from './agent-loop.ts'
import { LettaV1Loop } from './letta-v1-loop.ts'

/** The loop of one turn of this agent. */
export function loopOf(agent: Agent): AgentLoop {
  return new LettaV1Loop(agent)
}

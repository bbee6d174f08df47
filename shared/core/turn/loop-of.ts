import type { Agent } from '../../schema/agent.ts'
import { runsOlderLoop } from '../agent-tools.ts'
import type { Clock } from '../ports/actor.ts'
import type { AgentLoop } from './agent-loop.ts'
import { LettaV1Loop } from './letta-v1-loop.ts'
import { MemgptLoop } from './memgpt-loop.ts'
import type { TurnTools } from './turn-tools.ts'

/** The loop of one turn of this agent. */
export function loopOf(agent: Agent, tools: TurnTools, clock: Clock): AgentLoop {
  const now = () => ({ date: clock.now(), timezone: agent.timezone })
  if (runsOlderLoop(agent.agent_type))
    return new MemgptLoop(tools, { thinks: agent.llm_config.put_inner_thoughts_in_kwargs === true, now })
  return new LettaV1Loop(tools, { parallel: agent.llm_config.parallel_tool_calls === true, now })
}

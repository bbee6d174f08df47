/** Turns that may wait for each other, one inside the other, before the innermost may ask no more. */
export const MAX_DEPTH = 5
/** Messages from agent to agent, one caused by the other, that may follow from one message of a user. */
export const MAX_HOPS = 25
/** All messages between agents that may follow from one message of a user. */
export const MAX_MESSAGES = 100
/** Agents that one broadcast may reach. */
export const MAX_RECIPIENTS = 25

/**
 * How a turn came about, so that agents which talk to each other come to an end. It goes along with every message from
 * agent to agent, also with those that nobody waits for, and with a run that another process goes on with.
 */
export interface AgentChain {
  /** The agents that wait for this turn, the one that the user spoke to first. */
  waiting: readonly string[]
  /** Messages between the user's and this turn. */
  hops: number
  /** What all turns of the chain may still send together: one object for all of them while they are in one process. */
  budget: { left: number }
}

/** The chain of a turn that a user or program asked for. */
export function newChain(): AgentChain {
  return { waiting: [], hops: 0, budget: { left: MAX_MESSAGES } }
}

/** The chain of a turn that `agent_id` sets off from a turn of this chain. */
export function nextChain(chain: AgentChain, agent_id: string, { waits }: { waits: boolean }): AgentChain {
  const { hops, budget } = chain
  return { waiting: waits ? [...chain.waiting, agent_id] : [], hops: hops + 1, budget }
}

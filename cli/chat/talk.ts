import { type LociClient, refusalOf } from '../../shared/client/http.ts'
import { isId } from '../../shared/schema/ids.ts'
import type { LettaMessage } from '../../shared/schema/message.ts'
import { Failure } from '../failure.ts'

/** Whom the user talks to, and where. */
export interface Talk {
  client: LociClient
  agent: { id: string; name: string }
  /** Null for the agent's default conversation. */
  conversation: string | null
  /** Over a socket, which can be lost: turns then run in the background, and are followed again. */
  remote: boolean
}

/** A message in a request for a turn. */
export type TurnInput =
  | { role: 'user'; content: string; otid: string }
  | { type: 'approval'; approvals: Decision[]; otid: string }

/** What the user says to one call that waits. */
export interface Decision {
  type: 'approval'
  tool_call_id: string
  approve: boolean
  reason: string | null
}

/** A call that waits for the user's word. */
export interface WaitingCall {
  tool_call_id: string
  name: string
  arguments: string
}

/** The conversation as paths name it, and what a request for the default one has to say beside it. */
export function pathOf({ conversation, agent }: Talk): { path: string; whose: { agent_id?: string } } {
  return {
    path: `/v1/conversations/${conversation ?? 'default'}`,
    whose: conversation === null ? { agent_id: agent.id } : {},
  }
}

/** The conversation that is asked for. Throws a `Failure` for one that is not there, or of another agent. */
export async function findConversation(
  client: LociClient,
  agent: { id: string; name: string },
  wanted: string,
): Promise<string | null> {
  if (wanted === 'default' || wanted === agent.id) return null
  const list = `loci chat takes 'new' or the id of a conversation of ${agent.name}`
  if (!isId('conv', wanted)) throw new Failure(`'${wanted}' is no conversation: ${list}.`)
  const { agent_id } = await client.letta.conversations.retrieve(wanted)
  if (agent_id !== agent.id) throw new Failure(`Conversation '${wanted}' is one of another agent: ${list}.`)
  return wanted
}

/** The newest messages of the conversation, newest first. */
export async function newestMessages(talk: Talk, limit: number): Promise<LettaMessage[]> {
  const { letta } = talk.client
  const { path, whose } = pathOf(talk)
  const query = { limit, order: 'desc' as const }
  try {
    return (await letta.get(`${path}/messages`, { query: { ...query, ...whose } })) as LettaMessage[]
  } catch (error) {
    // Older V1 servers know no 'default'; their agents have one conversation.
    if (talk.conversation !== null || ![404, 405, 422].includes(refusalOf(error)?.status ?? 0)) throw error
    const page = await letta.agents.messages.list(talk.agent.id, query)
    return page.getPaginatedItems() as unknown as LettaMessage[]
  }
}

/** The calls that wait for an approval, and why they do where no rule says so; null when none waits. */
export async function waitingCalls(
  talk: Talk,
): Promise<{ calls: WaitingCall[]; reason: string | undefined } | null> {
  const [newest] = await newestMessages(talk, 1)
  if (newest?.message_type !== 'approval_request_message') return null
  const listed = Array.isArray(newest.tool_calls) ? newest.tool_calls : [newest.tool_call]
  const calls = listed.flatMap(({ tool_call_id, name, arguments: text }) =>
    tool_call_id && name ? [{ tool_call_id, name, arguments: text ?? '{}' }] : [],
  )
  return calls.length === 0 ? null : { calls, reason: newest.reason }
}

/** Calls of this tool by this agent wait no more. */
export async function approveAlways(talk: Talk, name: string, byDefault: boolean): Promise<void> {
  const { letta } = talk.client
  const { id } = talk.agent
  const body = { requires_approval: false }
  await letta.patch(`/v1/agents/${id}/tools/approval/${encodeURIComponent(name)}`, { body })
  if (!byDefault) return
  const agent = await letta.agents.retrieve(id, { include: ['agent.tools'] })
  const tool = agent.tools.find((one) => one.name === name)
  if (tool) await letta.tools.update(tool.id, { default_requires_approval: false })
}

/** Ends the turn that runs: the one named, or whichever runs in this conversation. */
export async function cancelTurn(talk: Talk, run: string | null): Promise<void> {
  const { letta } = talk.client
  const { path, whose } = pathOf(talk)
  try {
    if (run !== null) {
      await letta.agents.messages.cancel(talk.agent.id, { run_ids: [run] }, { maxRetries: 0 })
    } else await letta.post(`${path}/cancel`, { body: whose, maxRetries: 0 })
  } catch (error) {
    // It was over before the request came.
    if (refusalOf(error)?.status !== 409) throw error
  }
}

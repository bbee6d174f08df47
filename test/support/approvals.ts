/** Agents whose tools wait for an approval, and the answers that clients give, for tests over the official client. */
import assert from 'node:assert/strict'
import type Letta from '@letta-ai/letta-client'
import type { MessageCreateParamsNonStreaming } from '@letta-ai/letta-client/resources/agents/messages'
import { SCRIPTED, type TestLoci } from './loci.ts'
import { type ScriptedLoci, withLociEach } from './scripted-loci.ts'
import type { ScriptedModel, ScriptedStep } from './scripted-model.ts'

export type Response = Letta.Agents.LettaResponse
export type Input = NonNullable<MessageCreateParamsNonStreaming['messages']>[number]

/** A tool of the client. */
export const READ_FILE = {
  name: 'read_file',
  description: 'Reads a file of the client',
  parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
}
/** Calls of a model: of the client's tool, of one that runs at once, and of one that changes a block. */
export const reads = (id = 'call-read') => ({ name: 'read_file', arguments: { path: 'a.txt' }, id })
export const searches = (id = 'call-search') => ({
  name: 'conversation_search',
  arguments: { query: 'x' },
  id,
})
export const inserts = (id = 'call-insert') => ({
  name: 'memory_insert',
  arguments: { label: 'human', new_string: 'b' },
  id,
})
/** Steps of the script. */
export const asks = (
  ...tool_calls: NonNullable<Extract<ScriptedStep['reply'], { tool_calls?: unknown }>['tool_calls']>
) => ({
  reply: { tool_calls },
})
export const says = (text: string) => ({ reply: { text } })

/** Hooks as of `withLociEach`, and what these tests ask of what it starts. */
export function withApprovals(take: (started: ScriptedLoci) => void) {
  let model: ScriptedModel
  let loci: TestLoci
  withLociEach((started) => {
    ;({ model, t: loci } = started)
    take(started)
  })

  const newAgent = (more: Partial<Parameters<Letta['agents']['create']>[0]> = {}) =>
    loci.letta.agents.create({
      name: 'Ada',
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'a' }],
      ...more,
    })
  const guarded = (...tools: string[]) =>
    newAgent({ tool_rules: tools.map((tool_name) => ({ type: 'requires_approval', tool_name })) })
  const send = (agent_id: string, messages: Input[] | string, more = {}): Promise<Response> =>
    loci.letta.agents.messages.create(agent_id, {
      ...(typeof messages === 'string' ? { input: messages } : { messages }),
      ...more,
    })
  const answer = (agent_id: string, approvals: object[], more = {}) =>
    send(agent_id, [{ type: 'approval', approvals } as Input], more)
  const approve = (tool_call_id: string, more = {}) => ({
    type: 'approval',
    tool_call_id,
    approve: true,
    ...more,
  })
  const deny = (tool_call_id: string, reason?: string) => ({
    type: 'approval',
    tool_call_id,
    approve: false,
    ...(reason === undefined ? {} : { reason }),
  })
  const gives = (tool_call_id: string, tool_return: string, status = 'success') => ({
    type: 'tool',
    tool_call_id,
    tool_return,
    status,
  })
  const types = (response: Response) => response.messages.map((message) => message.message_type)
  const humanBlock = async (agent_id: string) =>
    (await loci.letta.agents.blocks.retrieve('human', { agent_id })).value
  /** What the model was shown last of tool returns: call id to text. */
  const returnsShown = () =>
    Object.fromEntries(
      (model.requests.at(-1)?.body.messages ?? [])
        .filter((message) => message.role === 'tool')
        .map((message) => [
          message.tool_call_id,
          (JSON.parse(String(message.content)) as { message: string }).message,
        ]),
    )
  const refused = async (work: Promise<unknown>, status: number, words: RegExp) => {
    await assert.rejects(work, (error: { status?: number; message: string }) => {
      assert.equal(error.status, status)
      assert.match(error.message, words)
      return true
    })
  }

  return { newAgent, guarded, send, answer, approve, deny, gives, types, humanBlock, returnsShown, refused }
}

/** Agents of V1's older types, and what they say on the wire, for tests over the official client. */
import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { type ContractTest, withContractTestEach } from './contract.ts'

export type AgentType = NonNullable<Letta.AgentState['agent_type']>
/** A message of a list, or an item of a stream. */
export type Sent = { message_type?: string | null } & Record<string, unknown>

/** The call by which an older agent speaks. */
export const say = (message: string, more = {}) => ({
  name: 'send_message',
  arguments: { thinking: 'A greeting.', message, ...more },
})
/** A call that puts something into memory. */
export const remember = (request_heartbeat = true) => ({
  name: 'memory_insert',
  arguments: { thinking: 'A city.', label: 'human', new_string: 'In London.', request_heartbeat },
})

/** What an item says or does, in one line. */
export function line(item: Sent): string {
  const call = item['tool_call'] as { name?: string } | undefined
  const said = item['reasoning'] ?? item['content'] ?? call?.name ?? item['status'] ?? item['stop_reason']
  const shown = typeof said === 'string' ? said : ''
  return shown === '' ? String(item.message_type) : `${item.message_type}: ${shown}`
}

/** Deltas of one part put together, in order of their beginning. */
export function joined(items: Sent[]): Sent[] {
  const parts = new Map<string, Sent>()
  for (const item of items.filter((i) => typeof i['otid'] === 'string')) {
    const key = `${String(item['id'])} ${String(item['otid'])}`
    const part = parts.get(key)
    if (!part) parts.set(key, { ...item })
    else {
      assert.equal(part.message_type, item.message_type, 'one otid is one part')
      for (const field of ['reasoning', 'content'])
        if (typeof item[field] === 'string') part[field] = String(part[field]) + item[field]
    }
  }
  return [...parts.values()]
}

/** Hooks as of `withContractTestEach`, and the requests that these tests make of what it starts. */
export function withOlderAgents(take: (started: ContractTest) => void) {
  let t: ContractTest
  withContractTestEach((started) => {
    t = started
    take(t)
  })
  return {
    agentOf: (agent_type: AgentType, more: Partial<Letta.AgentCreateParams> = {}) =>
      t.newAgent({ agent_type, ...more }),
    send: (id: string, more: object = {}) =>
      t.letta.agents.messages.create(id, { input: 'Hi, I am in London', ...more, streaming: false }),
    async stream(this: void, id: string, more: object = {}): Promise<Sent[]> {
      const items: Sent[] = []
      const answer = await t.letta.agents.messages.stream(id, {
        input: 'Hi, I am in London',
        include_pings: false,
        ...more,
      })
      for await (const item of answer) items.push(item as unknown as Sent)
      return items
    },
    async list(this: void, id: string, query: object = {}): Promise<Sent[]> {
      const { items } = await t.letta.agents.messages.list(id, { order: 'asc', ...query })
      return items as unknown as Sent[]
    },
  }
}

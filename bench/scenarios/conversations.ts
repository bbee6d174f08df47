import type { Scenario } from '../lib/context.ts'
import { call } from '../lib/http.ts'
import { alternate } from '../lib/overhead.ts'
import { createAgent, startDouble, startLoci } from '../lib/servers.ts'
import { median } from '../lib/stats.ts'

/** Fifty conversations of one agent at once beside fifty agents with one conversation each, and forks of a long one. */
export const conversations: Scenario = async (context) => {
  const rounds = context.sized(40, 6, 1)
  const count = context.sized(50, 50, 5)
  await using double = await startDouble()
  await using loci = await startLoci(double, await context.place(), false)
  const { url } = loci
  const agent = await createAgent(url)
  context.progress('conversations: fifty of one agent, and fifty agents')
  const ofOne: string[] = []
  const ofMany: string[] = []
  for (let i = 0; i < count; i++) {
    ofOne.push(await begin(url, agent))
    ofMany.push(await createAgent(url))
  }
  const rate = (ids: readonly string[]) => async (texts: string[]) => {
    const rates: number[] = []
    for (const text of texts) {
      const from = performance.now()
      await Promise.all(ids.map((id) => send(url, id, text)))
      rates.push(ids.length / ((performance.now() - from) / 1000))
    }
    return rates
  }
  const sides = [rate(ofMany), rate(ofOne)]
  await alternate(2, 1, sides)
  const [many = [], one = []] = await alternate(rounds, 2, sides)

  const length = context.sized(5000, 500, 10)
  context.progress(`conversations: forks of ${length} messages`)
  const long = await begin(url, agent)
  for (let sent = 0; sent < length; sent += 500) {
    const messages = Array.from({ length: Math.min(500, length) }, (_, i) => ({
      role: 'user',
      content: `Note ${sent + i}.`,
    }))
    await call('POST', `${url}/v1/conversations/${long}/messages`, { messages, streaming: false })
  }
  const took = async (source: string) => {
    const times: number[] = []
    for (let i = 0; i < 10; i++) {
      const from = performance.now()
      await call('POST', `${url}/v1/conversations/${source}/fork`)
      times.push(performance.now() - from)
    }
    return median(times)
  }
  const short = await begin(url, agent)
  return [
    {
      scenario: 'conversations',
      what: `${count} conversations of one agent at once, next to ${count} agents with one each`,
      unit: 'messages/s',
      value: median(one),
      floor: median(many),
    },
    {
      scenario: 'conversations',
      what: `a fork of ${length} messages, p50, next to one of none`,
      unit: 'ms',
      value: await took(long),
      floor: await took(short),
    },
  ]
}

async function begin(url: string, agent_id: string): Promise<string> {
  return (await call<{ id: string }>('POST', `${url}/v1/conversations/?agent_id=${agent_id}`)).id
}

/** `id` is a conversation's, or an agent's for its default conversation. */
async function send(url: string, id: string, input: string): Promise<void> {
  await call('POST', `${url}/v1/conversations/${id}/messages`, { input, streaming: false })
}

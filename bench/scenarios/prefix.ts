import type { Scenario } from '../lib/context.ts'
import type { Row } from '../lib/report.ts'
import { agentAt, createAgent, startDouble, startLoci } from '../lib/servers.ts'

/** How much of a request the provider has seen before: where nothing changed it must be all of the one before. */
export const prefix: Scenario = async (context) => {
  const turns = context.sized(200, 20, 3)
  await using double = await startDouble()
  await using loci = await startLoci(double, await context.folder())
  const agent = agentAt(loci.url, await createAgent(loci.url))
  const within: boolean[] = []
  const across: boolean[] = []
  await double.bodies()
  let last: string | null = null
  for (let i = 0; i < turns; i++) {
    context.progress(`prefix: turn ${i} of ${turns}`)
    // Every third turn calls a tool, and every ninth changes the memory: the turn after that has another prompt.
    const edits = i % 9 === 8
    await agent.send(edits ? 'CALL memory_insert' : i % 3 === 2 ? 'CALL conversation_search' : `Note ${i}.`)
    const bodies = await double.bodies()
    const [first = ''] = bodies
    if (last !== null) across.push(continues(last, first))
    for (let step = 1; step < bodies.length; step++) within.push(continues(bodies[step - 1]!, bodies[step]!))
    last = edits ? null : bodies.at(-1)!
  }
  const row = (what: string, same: boolean[]): Row => ({
    scenario: 'prefix',
    what: `${what}, of ${same.length} requests`,
    unit: '%',
    value: (same.filter(Boolean).length / same.length) * 100,
    target: '100 %',
  })
  return [
    row('byte-identical within a turn', within),
    row('byte-identical across turns, nothing changed', across),
  ]
}

/** Whether the next request is this one to the byte up to the end of its messages, with the same tools. */
function continues(body: string, next: string): boolean {
  const { messages, tools } = JSON.parse(body) as { messages: unknown[]; tools?: unknown }
  const list = JSON.stringify(messages)
  const at = body.indexOf(list)
  if (at < 0) throw new Error(`the messages of a request are not compact JSON: ${body.slice(0, 200)}`)
  const seen = body.slice(0, at + list.length - 1)
  const tooled = JSON.stringify((JSON.parse(next) as { tools?: unknown }).tools)
  return next.startsWith(`${seen},`) && tooled === JSON.stringify(tools)
}

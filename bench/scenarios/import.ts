import { createWriteStream, openAsBlob } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Scenario } from '../lib/context.ts'
import { call } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { startDouble, startLoci, type Target } from '../lib/servers.ts'

/**
 * An agent file with a long history: how long its import and export take, and how long nobody else is served meanwhile.
 * The size of the context is that of an agent in use; all other messages are its past.
 */
export const imports: Scenario = async (context) => {
  const messages = context.sized(100_000, 5_000, 200)
  await using double = await startDouble()
  const file = join(await context.folder(), 'large.af')
  await pipeline(Readable.from(pieces(messages)), createWriteStream(file))
  await using loci = await startLoci(double, await context.place(), 'stalls')
  // What is loaded at the first import is not what is asked here.
  const small = join(await context.folder(), 'small.af')
  await pipeline(Readable.from(pieces(200)), createWriteStream(small))
  await send(loci, small)
  context.progress(`import: an agent with ${messages} messages`)
  const imported = await timed(loci, () => send(loci, file))
  context.progress(`import: it is exported again`)
  const exported = await timed(loci, async () => {
    const answer = await fetch(`${loci.url}/v1/agents/${imported.value}/export`)
    for await (const piece of answer.body ?? []) void piece
  })
  context.progress('import: turns while another is imported')
  const beside = await besideTurns(loci, file)
  await call('DELETE', `${loci.url}/v1/agents/${imported.value}`)
  const row = (what: string, value: number, target?: string): Row => ({
    scenario: 'import',
    what,
    unit: 'ms',
    value,
    ...(target === undefined ? {} : { target }),
  })
  return [
    row(`an agent file with ${messages} messages is imported`, imported.took),
    row('longest stall meanwhile', imported.stall, '≤ 20 ms'),
    row('longest work meanwhile, processor time', imported.work_ms),
    row('it is exported', exported.took),
    row('longest stall meanwhile', exported.stall, '≤ 20 ms'),
    row('longest work meanwhile, processor time', exported.work_ms),
    row('p95 of a turn while another is imported', beside),
  ]
}

async function besideTurns(loci: Target, file: string): Promise<number> {
  const talk = await loci.converse(false)
  for (let n = 0; n < 5; n++) await talk.send(`Note ${n}`)
  const other = { busy: true }
  const importing = send(loci, file).finally(() => (other.busy = false))
  const took: number[] = []
  while (other.busy) {
    const from = performance.now()
    await talk.send('Note')
    took.push(performance.now() - from)
  }
  await importing
  took.sort((a, b) => a - b)
  return took[Math.floor(took.length * 0.95)] ?? 0
}

async function timed<T>(
  loci: Target,
  work: () => Promise<T>,
): Promise<{ value: T; took: number; stall: number; work_ms: number }> {
  await loci.child.probe()
  const from = performance.now()
  const value = await work()
  const took = performance.now() - from
  const { longest_stall_ms: stall, longest_work_ms: work_ms } = await loci.child.probe()
  return { value, took, stall, work_ms }
}

/** Imports the file as the official client does; answers the id of the agent. */
async function send(loci: Target, path: string): Promise<string> {
  const form = new FormData()
  form.append('file', await openAsBlob(path), 'agent.af')
  const answer = await fetch(`${loci.url}/v1/agents/import`, { method: 'POST', body: form })
  const body = (await answer.json()) as { agent_ids?: string[]; detail?: string }
  if (!body.agent_ids?.[0]) throw new Error(`the import was refused: ${answer.status} ${body.detail ?? ''}`)
  return body.agent_ids[0]
}

/** A file as V1 writes it, with so many messages, of which the last hundred are in the context. */
function* pieces(messages: number): Generator<string> {
  const first = { id: 'message-0', role: 'system', content: [{ type: 'text', text: 'You remember.' }] }
  const llm_config = {
    model: 'bench',
    model_endpoint_type: 'openai',
    context_window: 128_000,
    handle: 'openai/bench',
  }
  const recent = Array.from({ length: 100 }, (_, i) => `message-${messages - 100 + i}`)
  const agent = { id: 'agent-0', name: 'large', system: 'You remember.', llm_config }
  const context = ['message-0', ...recent.filter((id) => id !== 'message-0')]
  yield `{"agents": [{${JSON.stringify(agent).slice(1, -1)}, "in_context_message_ids": ${JSON.stringify(context)}, "messages": [\n`
  yield JSON.stringify(first)
  for (let i = 1; i < messages; i++) {
    const message = {
      type: 'message',
      role: i % 2 === 1 ? 'user' : 'assistant',
      content: [
        {
          type: 'text',
          text: `Note ${i}: ${'words about the weather and the garden '.repeat(6)}`,
          signature: null,
        },
      ],
      name: null,
      otid: null,
      sender_id: null,
      batch_item_id: null,
      group_id: null,
      id: `message-${i}`,
      model: i % 2 === 1 ? null : 'bench',
      agent_id: 'agent-0',
      tool_calls: null,
      tool_call_id: null,
      tool_returns: [],
      created_at: new Date(1_700_000_000_000 + i * 1000).toISOString().replace('Z', '123+00:00'),
      approve: null,
      approval_request_id: null,
      denial_reason: null,
    }
    yield `,\n${JSON.stringify(message)}`
  }
  yield ']}], "groups": [], "blocks": [], "files": [], "sources": [], "tools": [], "mcp_servers": [], "metadata": {}}'
}

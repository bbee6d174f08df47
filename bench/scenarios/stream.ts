import type { Scenario } from '../lib/context.ts'
import { TOKEN } from '../lib/double-answers.ts'
import type { Streamed } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { startBare, startDouble, startLoci, type Target } from '../lib/servers.ts'
import { median, percentile, sum } from '../lib/stats.ts'

/** The wait for the first token, and many long answers at once. */
export const stream: Scenario = async (context) => {
  const size = context.sized(
    { single: 300, rounds: 5, streams: 64, tokens: 500 },
    { single: 50, rounds: 2, streams: 32, tokens: 200 },
    { single: 3, rounds: 1, streams: 4, tokens: 20 },
  )
  await using double = await startDouble()
  await using bare = await startBare(double)
  await using loci = await startLoci(double, await context.folder())
  const targets = { bare, loci }
  context.progress('stream: first tokens')
  const first = { bare: [] as number[], loci: [] as number[] }
  const conversations = { bare: await bare.converse(false), loci: await loci.converse(false) }
  for (let i = -20; i < size.single; i++) {
    for (const name of ['bare', 'loci'] as const) {
      await double.held()
      const { first_token_ms } = await conversations[name].stream(`Note ${i}`)
      if (i >= 0) first[name].push(first_token_ms - sum(await double.held()))
    }
  }
  const many = { bare: [] as Load[], loci: [] as Load[] }
  // The first round warms up.
  for (let round = -1; round < size.rounds; round++) {
    for (const name of ['bare', 'loci'] as const) {
      context.progress(`stream: ${size.streams} at once, round ${round + 1} of ${size.rounds}`)
      const load = await together(targets[name], size.streams, size.tokens)
      if (round >= 0) many[name].push(load)
    }
  }
  const at = `${size.streams} streams of ${size.tokens} tokens at once`
  const row = (what: string, unit: Row['unit'], key: keyof Load, target?: string): Row => ({
    scenario: 'stream',
    what: `${at}: ${what}`,
    unit,
    value: median(many.loci.map((load) => load[key])),
    floor: median(many.bare.map((load) => load[key])),
    ...(target === undefined ? {} : { target }),
  })
  return [
    {
      scenario: 'stream',
      what: 'overhead of the first token, p50',
      unit: 'ms',
      value: percentile(first.loci, 0.5),
      floor: percentile(first.bare, 0.5),
      target: '≤ 1.5×',
    },
    row('tokens a second', 'tokens/s', 'tokens_per_second', '≥ 1.0×'),
    row('CPU of a token', 'µs', 'cpu_us'),
    await memory(loci, bare),
  ]
}

interface Load {
  tokens_per_second: number
  cpu_us: number
}

async function together(target: Target, streams: number, tokens: number): Promise<Load> {
  const conversations = await Promise.all(Array.from({ length: streams }, () => target.converse(false)))
  const before = await target.child.probe()
  const from = performance.now()
  const answers = await Promise.all(conversations.map((one, i) => one.stream(`Story ${i}. TOKENS ${tokens}`)))
  const took = performance.now() - from
  const cpu = (await target.child.probe()).cpu_ms - before.cpu_ms
  for (const answer of answers) checkTokens(answer, tokens)
  const total = streams * tokens
  return { tokens_per_second: total / (took / 1000), cpu_us: (cpu * 1000) / total }
}

/** A server that drops or doubles text is not fast. */
function checkTokens(answer: Streamed, tokens: number): void {
  const text = answer.text
    .split('\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => textIn(JSON.parse(line.slice(6)) as Item))
    .join('')
  if (text !== TOKEN.repeat(tokens))
    throw new Error(`a stream of ${tokens} tokens came as ${text.length} characters: ${text.slice(0, 200)}`)
}

interface Item {
  delta?: string
  message_type?: string
  content?: string | { text?: string }[]
}

function textIn(item: Item): string {
  if (item.delta !== undefined) return item.delta
  if (item.message_type !== 'assistant_message') return ''
  return typeof item.content === 'string'
    ? item.content
    : (item.content ?? []).map((part) => part.text ?? '').join('')
}

async function memory(loci: Target, bare: Target): Promise<Row> {
  return {
    scenario: 'stream',
    what: 'resident memory after all that',
    unit: 'MB',
    value: (await loci.child.probe()).rss_mb,
    floor: (await bare.child.probe()).rss_mb,
    target: '≤ 1.5×',
  }
}

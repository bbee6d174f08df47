import type { Scenario } from '../lib/context.ts'
import { type Streamed, stream } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { createAgent, startDouble, startLoci } from '../lib/servers.ts'
import { median } from '../lib/stats.ts'

/** The stream of a long background run: made, and read again by the process that made it and by another one. */
export const resume: Scenario = async (context) => {
  const size = context.sized(
    { tokens: 10_000, rounds: 7 },
    { tokens: 2_000, rounds: 3 },
    { tokens: 100, rounds: 1 },
  )
  const data = await context.folder()
  await using double = await startDouble()
  await using maker = await startLoci(double, data)
  await using reader = await startLoci(double, data)
  const made = { plain: [] as number[], stored: [] as number[] }
  let run_id = ''
  let chunks = 0
  for (let round = -1; round < size.rounds; round++) {
    context.progress(`resume: a stream of ${size.tokens} tokens, round ${round + 1} of ${size.rounds}`)
    for (const kind of ['plain', 'stored'] as const) {
      const agent = await createAgent(maker.url)
      const body = {
        input: `Story ${round}. TOKENS ${size.tokens}`,
        streaming: true,
        stream_tokens: true,
        include_pings: false,
        background: kind === 'stored',
      }
      const url = `${maker.url}/v1/agents/${agent}/messages`
      const { took_ms, text } = await timed(url, body)
      if (round >= 0) made[kind].push(took_ms)
      if (kind === 'plain') continue
      run_id = /"run_id":"([^"]+)"/.exec(text)?.[1] ?? ''
      chunks = countOf(text)
    }
  }
  if (chunks < size.tokens) throw new Error(`${size.tokens} tokens were streamed in ${chunks} chunks`)
  const rows: Row[] = [
    {
      scenario: 'resume',
      what: `a stream of ${chunks} chunks, made in the background; next to it one that is not stored`,
      unit: 'ms',
      value: median(made.stored),
      floor: median(made.plain),
    },
  ]
  for (const [where, url] of [
    ['where it was made', maker.url],
    ['in another process', reader.url],
  ] as const) {
    for (const starting_after of [0, chunks - 100]) {
      const found: (Streamed & { took_ms: number })[] = []
      for (let round = -1; round < size.rounds; round++) {
        const answer = await timed(`${url}/v1/runs/${run_id}/stream`, {
          starting_after,
          include_pings: false,
        })
        const count = countOf(answer.text)
        if (count !== chunks - starting_after)
          throw new Error(`${count} chunks after ${starting_after} of ${chunks}`)
        if (round >= 0) found.push(answer)
      }
      const what = `resumed ${where}, ${chunks - starting_after} chunks`
      const last = median(found.map((answer) => answer.took_ms))
      const first = median(found.map((answer) => answer.first_token_ms))
      rows.push(
        { scenario: 'resume', what: `${what}: to the first`, unit: 'ms', value: first },
        { scenario: 'resume', what: `${what}: to the last`, unit: 'ms', value: last },
        {
          scenario: 'resume',
          what: `${what}: chunks a second`,
          unit: 'chunks/s',
          value: (chunks - starting_after) / (last / 1000),
        },
      )
    }
  }
  return rows
}

async function timed(url: string, body: object): Promise<Streamed & { took_ms: number }> {
  const from = performance.now()
  const answer = await stream(url, body, '"message_type"')
  return { ...answer, took_ms: performance.now() - from }
}

/** Chunks of a stream, without `[DONE]`. */
function countOf(text: string): number {
  return text.split('\n\n').filter((chunk) => chunk.startsWith('data: {')).length
}

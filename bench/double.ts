// The model of the benchmarks: OpenAI's chat completions, the same answer to the same question, all of it at once.
// `TOKENS n` in the last user message asks for n tokens, `PACE n` for one of them each n ms, `CALL name` for that tool.
// `/bench/*` is for the benchmark.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerOf, type ChatBody, pacedAnswerOf } from './lib/double-answers.ts'

/** Milliseconds that each request was here, in the order of their answers. */
let held: number[] = []
/** Bodies as they came, while a benchmark wants them. */
let bodies: string[] | null = null

async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const from = performance.now()
  const pieces: Buffer[] = []
  for await (const piece of incoming as AsyncIterable<Buffer>) pieces.push(piece)
  const text = Buffer.concat(pieces).toString('utf8')
  bodies?.push(text)
  const body = JSON.parse(text) as ChatBody
  const type = body.stream === true ? 'text/event-stream' : 'application/json'
  const paced = pacedAnswerOf(body)
  if (paced) return send(outgoing, paced)
  const bytes = answerOf(body)
  outgoing.writeHead(200, { 'content-type': type, 'content-length': bytes.length })
  outgoing.end(bytes)
  held.push(performance.now() - from)
}

function send(
  outgoing: ServerResponse,
  { pieces, pace_ms }: { pieces: readonly string[]; pace_ms: number },
): void {
  outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
  let next = 0
  const timer = setInterval(() => {
    outgoing.write(pieces[next++])
    if (next < pieces.length) return
    clearInterval(timer)
    outgoing.end()
  }, pace_ms)
  outgoing.once('close', () => clearInterval(timer))
}

function serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const json = (value: unknown) => {
    outgoing.writeHead(200, { 'content-type': 'application/json' })
    outgoing.end(JSON.stringify(value))
  }
  switch (incoming.url) {
    case '/v1/chat/completions':
      answer(incoming, outgoing).catch((error: unknown) => outgoing.destroy(error as Error))
      break
    case '/v1/models':
      json({ object: 'list', data: [{ id: 'bench', object: 'model', context_length: 1_000_000 }] })
      break
    case '/bench/held':
      json(held)
      held = []
      break
    case '/bench/bodies':
      json(bodies ?? [])
      bodies = []
      break
    default:
      outgoing.writeHead(404).end(`no ${incoming.url} here`)
  }
}

const server = createServer(serve)
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})

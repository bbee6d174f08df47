import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What goes wrong with one request. */
export type Trouble =
  | { answer: number; headers?: Record<string, string>; body?: string }
  /** The connection is cut when so many bytes of the request have come. */
  | { cut_request_after: number }
  /** … so many of the answer have gone. */
  | { cut_answer_after: number }
  /** The request arrives and is answered, and nobody hears it. */
  | { lose_answer: true }
  /** Nothing is ever answered. */
  | { hang: true }
  /** The answer comes in pieces, with this many milliseconds between them. */
  | { pieces: number; pause_ms: number }

/** A server between Loci and its object storage, through which requests go with the troubles they are given. */
export interface TroubledProxy {
  url: URL
  /** What has come: method, path with query, and the header Range. */
  readonly requests: string[]
  /** Troubles of the next requests that `which` is true of, in order; none when there are no more. */
  trouble(which: (request: string) => boolean, ...troubles: Trouble[]): void
  stop(): Promise<void>
}

/** Starts one in front of this server, on a free port of loopback. */
export async function startTroubledProxy(target: string): Promise<TroubledProxy> {
  const requests: string[] = []
  let rules: { which: (request: string) => boolean; troubles: Trouble[] }[] = []
  const server = createServer((incoming, outgoing) => {
    const range = incoming.headers.range
    const line = `${incoming.method} ${incoming.url}${range === undefined ? '' : ` ${range}`}`
    requests.push(line)
    const rule = rules.find(({ which, troubles }) => troubles.length > 0 && which(line))
    pass(target, incoming, outgoing, rule?.troubles.shift())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    requests,
    trouble(which, ...troubles) {
      rules = [...rules, { which, troubles }]
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function pass(
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  trouble: Trouble | undefined,
): void {
  if (trouble && 'answer' in trouble) {
    incoming.resume().on('end', () => outgoing.writeHead(trouble.answer, trouble.headers).end(trouble.body))
    return
  }
  if (trouble && 'hang' in trouble) return void incoming.resume()
  if (trouble && 'cut_request_after' in trouble) {
    let come = 0
    incoming.on('data', (some: Buffer) => {
      if ((come += some.length) > trouble.cut_request_after) incoming.socket.destroy()
    })
    return
  }
  const { method, url, headers } = incoming
  const onward = request(target + (url ?? ''), { method, headers }, (answer) => {
    const body: Buffer[] = []
    answer.on('data', (some: Buffer) => body.push(some))
    answer.on('end', () => {
      if (trouble && 'lose_answer' in trouble) return void incoming.socket.destroy()
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
      const whole = Buffer.concat(body)
      if (trouble && 'cut_answer_after' in trouble) {
        outgoing.write(whole.subarray(0, trouble.cut_answer_after), () => incoming.socket.destroy())
      } else if (trouble && 'pieces' in trouble) void inPieces(outgoing, whole, trouble)
      else outgoing.end(whole)
    })
  })
  onward.on('error', () => incoming.socket.destroy())
  incoming.pipe(onward)
}

async function inPieces(
  outgoing: ServerResponse,
  whole: Buffer,
  { pieces, pause_ms }: { pieces: number; pause_ms: number },
): Promise<void> {
  const size = Math.ceil(whole.length / pieces)
  for (let at = 0; at < whole.length; at += size) {
    outgoing.write(whole.subarray(at, at + size))
    await new Promise((resolve) => setTimeout(resolve, pause_ms))
  }
  outgoing.end()
}

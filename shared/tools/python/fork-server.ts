import { once } from 'node:events'
import { Duplex, Readable } from 'node:stream'
import * as z from 'zod'
import { AppError } from '../../schema/errors.ts'
import type { Wall, WalledCommand, WalledLimits } from '../sandbox/walled-command.ts'
import type { StartedProcess } from '../sandbox/walled-process.ts'
import { CHANNEL, encodePacket, readPackets } from './packets.ts'

/** What the process of a call is made with. */
export interface CallOptions {
  /** No more than those of the server. */
  limits: WalledLimits
  network: boolean
  /** Packages that are imported first, and then by no call of this server any more. */
  preload: readonly string[]
}

/** A running `loci_tool_server.py`: a process behind the wall that forks one for each call. */
export interface ForkServer {
  /** Of this server alone, in this process. */
  readonly id: number
  readonly alive: boolean
  /** Makes the process of a call. */
  fork(options: CallOptions): StartedProcess
  /** Resolves when it has ended, with everything in it. */
  close(): Promise<void>
}

const control = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('hello'), isolated: z.boolean() }),
  z.object({
    kind: z.literal('end'),
    reason: z.enum(['killed', 'memory', 'threads', 'unread', 'start']).nullable(),
    detail: z.string().nullish(),
    signal: z.number().nullish(),
    code: z.number().nullish(),
  }),
])
type End = Extract<z.infer<typeof control>, { kind: 'end' }>

/** The process of a call, as the server's packets make it. */
interface Forked {
  push(channel: number, bytes: Buffer | null): void
  end(why: string): void
  limits: WalledLimits
}

const START_MS = 30_000
const MAX_SAID = 4000

let servers = 0

/**
 * Starts one; null where processes cannot be walled in from each other inside the wall. Throws `tool_error` with what it
 * said when it does not come up.
 */
export async function startForkServer(wall: Wall, command: WalledCommand): Promise<ForkServer | null> {
  const child = wall.launch(command)
  const calls = new Map<number, Forked>()
  const link = child.stdio[3] as Duplex
  const hello = Promise.withResolvers<{ isolated: boolean }>()
  let last = 0
  let said = ''
  let alive = true
  const say = (text: string) => {
    said = (said + text).slice(-MAX_SAID)
  }
  const send = (call: number, channel: number, body: Uint8Array) => {
    if (alive) link.write(encodePacket(call, channel, body))
  }
  const order = (call: number, message: object) =>
    send(call, CHANNEL.control, Buffer.from(JSON.stringify(message)))
  const stop = () => wall.killAll(child)
  child.stdin?.on('error', () => undefined).end()
  child.stdout?.resume()
  child.stderr?.on('data', (chunk: Buffer) => say(chunk.toString()))
  // It has gone; 'close' says so.
  link.on('error', () => undefined)
  readPackets(
    link,
    ({ call: number, channel, body }) => {
      const call = calls.get(number)
      if (channel !== CHANNEL.control) return call?.push(channel, Buffer.from(body))
      const message = parseControl(body)
      // Nothing of a tool runs there; what its packages run when Python starts may do this.
      if (!message) return stop()
      if (message.kind === 'hello') return hello.resolve(message)
      calls.delete(number)
      call?.end(sentence(message, call.limits))
    },
    stop,
  )
  const untilGone = async () => {
    try {
      await once(child, 'close')
    } catch (error) {
      say(String(error))
    }
    alive = false
    hello.reject(
      new AppError('tool_error', `Python did not start behind the wall: ${said.trim() || 'it ended'}`),
    )
    for (const call of calls.values()) call.end(`the process that it was forked from ended: ${said.trim()}`)
    calls.clear()
  }
  const gone = untilGone()
  const timer = setTimeout(() => {
    say(`it said nothing for ${START_MS / 1000} s`)
    stop()
  }, START_MS)
  const { isolated } = await hello.promise.finally(() => clearTimeout(timer))
  if (!isolated) {
    stop()
    await gone
    return null
  }

  return {
    id: ++servers,
    get alive() {
      return alive
    },
    fork({ limits, network, preload }) {
      const number = ++last
      const exited = Promise.withResolvers<string>()
      const closed = Promise.withResolvers<void>()
      const stdout = new Readable({ read: () => undefined })
      const stderr = new Readable({ read: () => undefined })
      const pipe = new Duplex({
        read: () => undefined,
        write: (chunk: Buffer, _encoding, done) => {
          send(number, CHANNEL.pipe, chunk)
          done()
        },
      })
      const streams = new Map<number, Readable>([
        [CHANNEL.pipe, pipe],
        [CHANNEL.stdout, stdout],
        [CHANNEL.stderr, stderr],
      ])
      const end = (why: string) => {
        for (const stream of streams.values()) stream.push(null)
        exited.resolve(why)
        closed.resolve()
      }
      if (alive) {
        calls.set(number, { push: (channel, bytes) => streams.get(channel)?.push(bytes), end, limits })
        order(number, { kind: 'start', limits, network, preload })
      } else end('the process that it is forked from has ended')
      return {
        pipe,
        stdout,
        stderr,
        pid: undefined,
        kill: () => order(number, { kind: 'kill' }),
        exited: exited.promise,
        closed: closed.promise,
      }
    },
    async close() {
      stop()
      await gone
    },
  }
}

function parseControl(body: Buffer): z.infer<typeof control> | null {
  try {
    return control.parse(JSON.parse(body.toString()))
  } catch {
    return null
  }
}

const SIGXCPU = 24
const SIGXFSZ = 25

/** Why a call ended without a result, for the model. */
function sentence({ reason, detail, signal, code }: End, limits: WalledLimits): string {
  if (reason === 'memory') return `it used more than ${limits.memory_mb} MB of memory, its limit`
  if (reason === 'threads') return `it had more than ${limits.processes} threads, its limit`
  if (reason === 'unread') return 'it did not read the answers that it asked for'
  if (reason === 'start') return `its process could not be made: ${detail ?? 'no reason given'}`
  if (signal === SIGXCPU) return `it used more than ${limits.cpu_s} s of processor time, its limit`
  if (signal === SIGXFSZ) return `it wrote a file of more than ${limits.file_mb} MB, its limit`
  return `its process ended before it returned (${signal ? `signal ${signal}` : `exit code ${code ?? 'unknown'}`})`
}

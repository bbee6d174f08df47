// The process in which a TypeScript tool runs, behind the wall. Started by `node-command.ts`; speaks the frames of
// `sandbox/frames.ts` over descriptor 3.
import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import { encodeFrame, readFrameBytes } from '../sandbox/frame-codec.ts'
import { bindArguments } from '../source/bindings.ts'
import { openAgentState } from './agent-state.ts'
import { type PipeAnswer, pipeFetch } from './pipe-fetch.ts'
import { presentReturn } from './return-value.ts'
import { toolLoader } from './tool-loader.ts'
import { textOf } from './refusal.ts'
import { cutTo, printTrace } from './trace.ts'
import type { WorkerCall, WorkerSettings } from './worker-call.ts'

/** Bytes of a frame from Loci: the code, the arguments and the agent's memory, or an answer of the API. */
const MAX_FRAME = 64 * 1024 * 1024

const settings = JSON.parse(process.argv[2] ?? '') as WorkerSettings

// The second layer: without it nothing starts, whatever the wall is. A debugger's call may read what it likes.
if (
  !process.permission ||
  (settings.debug === null && process.permission.has('fs.read', '/etc/passwd')) ||
  process.permission.has('child')
) {
  process.stderr.write('Node runs without its permission model here: no tool is run\n')
  process.exit(78)
}

const loader = toolLoader(settings)
const pipe = new Socket({ fd: 3 })
const exit = process.exit.bind(process)
const kept = new Set(['HOME', 'TMPDIR', 'PATH'])
const waiting = new Map<number, (answer: PipeAnswer) => void>()
let asked = 0
let current: { token: string; abort: AbortController } | null = null
let client: unknown

// What a tool prints is not kept in its memory.
for (const stream of [process.stdout, process.stderr] as { _handle?: { setBlocking?(on: boolean): void } }[])
  stream._handle?.setBlocking?.(true)
pipe.on('close', () => exit(0))
readFrameBytes(
  pipe,
  MAX_FRAME,
  (bytes) => {
    const frame = JSON.parse(bytes.toString()) as
      | ({ type: 'call'; token: string } & WorkerCall)
      | ({ type: 'answer'; id: number } & PipeAnswer)
      | { type: 'abort' }
    if (frame.type === 'call') void run(frame.token, frame)
    else if (frame.type === 'answer') {
      waiting.get(frame.id)?.(frame)
      waiting.delete(frame.id)
    } else current?.abort.abort()
    return true
  },
  () => exit(70),
)
Object.defineProperty(globalThis, 'client', { configurable: true, get: openClient })
await loader.rehearse()
pipe.write(encodeFrame({ type: 'ready' }))

async function run(token: string, call: WorkerCall): Promise<void> {
  const abort = new AbortController()
  current = { token, abort }
  for (const name of Object.keys(process.env)) if (!kept.has(name)) delete process.env[name]
  Object.assign(process.env, call.env)
  const crashed = Promise.withResolvers<never>()
  crashed.promise.catch(() => undefined)
  const crash = (error: unknown) => crashed.reject(error)
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  let outcome: object
  try {
    outcome = await Promise.race([answer(call, abort.signal), crashed.promise])
  } catch (error) {
    printTrace(error, { url: loader.url, code: call.code })
    outcome = { status: 'error', ...described(error) }
  }
  process.off('uncaughtException', crash)
  process.off('unhandledRejection', crash)
  current = null
  for (const descriptor of [1, 2]) writeAll(descriptor, `\n${token}\n`)
  pipe.write(encodeFrame({ type: 'result', token, ...outcome }))
}

async function answer(call: WorkerCall, signal: AbortSignal): Promise<object> {
  const agent = call.agent ? openAgentState(call.agent) : null
  const context = {
    agent_id: call.agent?.id ?? null,
    agent_state: agent?.state ?? null,
    signal,
    get client() {
      return openClient()
    },
  }
  const module = await loader.load(call.code)
  const entry = module[call.entry.export_name]
  const given = bindArguments(call.entry, call.arguments, context)
  const callee = call.entry.kind === 'tool' ? (entry as { run: unknown }).run : entry
  if (typeof callee !== 'function') throw new TypeError(`${call.name} is not a function`)
  const returned: unknown = await Reflect.apply(callee, call.entry.kind === 'tool' ? entry : undefined, given)
  return { status: 'success', value: presentReturn(returned), memory_edits: agent?.edits() ?? {} }
}

/** The official client, made when a tool first touches it. */
function openClient(): unknown {
  if (client) return client
  const { Letta } = createRequire(settings.modules.client)(settings.modules.client) as {
    Letta: new (options: object) => unknown
  }
  client = new Letta({
    baseURL: 'http://loci.invalid',
    apiKey: null,
    maxRetries: 0,
    timeout: 3_600_000,
    fetch: pipeFetch((request) => {
      const call = current
      if (!call) return Promise.reject(new Error('the call has ended, and with it what its client may do'))
      const id = asked++
      const { promise, resolve } = Promise.withResolvers<PipeAnswer>()
      waiting.set(id, resolve)
      pipe.write(encodeFrame({ type: 'request', token: call.token, id, ...request }))
      return promise
    }),
  })
  return client
}

function described(error: unknown): { name: string; message: string } {
  try {
    if (error instanceof Error) {
      // They may be anything.
      const { name } = error as { name: unknown }
      const kind = String(name)
      return {
        name: kind.length <= 200 ? kind : 'Error',
        message: cutTo(textOf(error, settings.network ?? true), 20_000),
      }
    }
    return { name: 'Error', message: cutTo(String(error), 20_000) }
  } catch {
    return { name: 'Error', message: 'the tool threw something that cannot be shown' }
  }
}

/** Writes all of a text, also to a pipe that is full at the moment. */
function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text)
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(descriptor, bytes, done)
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') return
      Atomics.wait(pause, 0, 0, 1)
    }
  }
}

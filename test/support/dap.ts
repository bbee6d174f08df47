import { connect } from 'node:net'
import { withDeadline } from './cli-process.ts'

/** A client of a debugger that speaks the Debug Adapter Protocol. The caller closes it. */
export interface DebugAdapter {
  /** Resolves with the body of the answer; rejects with the adapter's message. */
  send(command: string, args?: object): Promise<Record<string, unknown>>
  /** The next event of this name, also one that has come already and was not asked for. */
  event(name: string): Promise<Record<string, unknown>>
  close(): void
}

interface Incoming {
  type: string
  request_seq?: number
  success?: boolean
  message?: string
  event?: string
  body?: Record<string, unknown>
}

export async function openDebugAdapter(host: string, port: number): Promise<DebugAdapter> {
  const socket = connect(port, host)
  const answers = new Map<number, (message: Incoming) => void>()
  const past: Incoming[] = []
  const watchers = new Set<() => void>()
  let bytes = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    for (;;) {
      const head = /^Content-Length: (\d+)\r\n\r\n/.exec(bytes.subarray(0, 100).toString('latin1'))
      if (!head) return
      const end = head[0].length + Number(head[1])
      if (bytes.length < end) return
      const message = JSON.parse(bytes.subarray(head[0].length, end).toString()) as Incoming
      bytes = bytes.subarray(end)
      if (message.type === 'response') answers.get(message.request_seq ?? -1)?.(message)
      else past.push(message)
      for (const watcher of watchers) watcher()
    }
  })
  // Its end is that of the process; an answer that is then missing has a deadline.
  socket.on('error', () => undefined)
  await withDeadline(
    new Promise((resolve) => socket.once('connect', resolve)),
    `the debugger on port ${port}`,
  )
  let seq = 0
  return {
    async send(command, args = {}) {
      const body = JSON.stringify({ seq: ++seq, type: 'request', command, arguments: args })
      const answer = new Promise<Incoming>((resolve) => answers.set(seq, resolve))
      socket.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
      const {
        success,
        message,
        body: answered,
      } = await withDeadline(answer, `the debugger's answer to ${command}`)
      if (!success) throw new Error(`${command}: ${message}`)
      return answered ?? {}
    },
    async event(name) {
      const found = Promise.withResolvers<Incoming>()
      const look = () => {
        const at = past.findIndex(({ event }) => event === name)
        const [event] = at < 0 ? [] : past.splice(at, 1)
        if (event) found.resolve(event)
      }
      watchers.add(look)
      look()
      const { body } = await withDeadline(found.promise, `the debugger's event ${name}`)
      watchers.delete(look)
      return body ?? {}
    },
    close: () => socket.destroy(),
  }
}

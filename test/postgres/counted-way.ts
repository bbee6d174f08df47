import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestServer } from './server.ts'

/** An answer goes on when nothing more has been asked for so long, in milliseconds: what is sent at once is one. */
const QUIET_MS = 15
/** How often each command is counted; the fewest counts, as a machine that stands still for a moment adds one. */
const TIMES = 4

/** The message by which a transaction ends. */
const COMMIT = Buffer.from('Q\0\0\0\x0bCOMMIT\0')

/** A way to a database of a test server that counts how often its user waits for an answer. */
export interface CountedWay extends AsyncDisposable {
  readonly address: string
  /** How many round trips `work` takes, one after another on the connections of the pool. */
  count(work: () => Promise<unknown>): Promise<number>
}

/** Listens on loopback until it is disposed of. */
export async function startCountedWay(server: TestServer, database: string): Promise<CountedWay> {
  const sockets = new Set<Socket>()
  let trips = 0
  /** Connections that wait for an answer. */
  const waiting = new Set<Socket>()
  const listener = createServer({ noDelay: true }, (near) => {
    const far = createConnection(join(server.folder, '.s.PGSQL.5432'))
    for (const one of [near, far]) {
      sockets.add(one)
      one.on('error', () => undefined)
      one.on('close', () => {
        sockets.delete(one)
        waiting.delete(near)
        near.destroy()
        far.destroy()
      })
    }
    let pooled: boolean | null = null
    let reads = false
    /** What was said since the last answer. */
    let said: Buffer[] = []
    let answers: Buffer[] = []
    let timer: NodeJS.Timeout | undefined
    const pass = () => {
      if (answers.length === 0) return
      const asked = Buffer.concat(said)
      // Nobody waits for the end of a read.
      const end = reads && asked.equals(COMMIT)
      if (waiting.delete(near) && pooled && !end) trips++
      near.write(Buffer.concat(answers))
      said = []
      answers = []
    }
    const later = () => {
      clearTimeout(timer)
      timer = setTimeout(pass, QUIET_MS)
    }
    near.on('data', (bytes: Buffer) => {
      // The connection that stays has another name; what it hears belongs to no command.
      pooled ??= bytes.includes('application_name\0loci\0')
      if (bytes.includes('BEGIN ISOLATION LEVEL')) reads = bytes.includes(' READ ONLY')
      waiting.add(near)
      said.push(bytes)
      far.write(bytes)
      later()
    })
    far.on('data', (bytes: Buffer) => {
      answers.push(bytes)
      later()
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const quiet = async () => {
    do await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
    while (waiting.size > 0)
  }
  return {
    address: `postgres://loci@127.0.0.1:${port}/${database}`,
    async count(work) {
      const counts: number[] = []
      for (let i = 0; i < TIMES; i++) {
        // The end of a read is not waited for.
        await quiet()
        const before = trips
        await work()
        counts.push(trips - before)
      }
      return Math.min(...counts)
    },
    async [Symbol.asyncDispose]() {
      for (const one of sockets) one.destroy()
      listener.close()
      await once(listener, 'close')
    },
  }
}

import type { Wall, WalledCommand } from '../sandbox/walled-command.ts'
import { type ForkServer, startForkServer } from './fork-server.ts'

export interface ForkServersOptions {
  wall: Wall
  /** Servers at once; one that is idle makes room for another. */
  max: number
  /** Milliseconds after the last call of a kind until its server ends. */
  idle_ms: number
}

interface Kind {
  command: WalledCommand
  server: Promise<ForkServer | null>
  /** Callers that have it, or wait for it. */
  users: number
  timer: NodeJS.Timeout | undefined
}

/** The fork servers of this process: one for each environment and set of permissions, started when first needed. */
export interface ForkServers {
  /**
   * Does something with the server of a command; null where there can be none. Rejects when it cannot be started, on an
   * abort, or as `work` does.
   */
  use<T>(
    command: WalledCommand,
    signal: AbortSignal,
    work: (server: ForkServer) => Promise<T>,
  ): Promise<T | null>
  close(): Promise<void>
}

/** Keeps up to `max` servers, each until nobody needed it for `idle_ms`. */
export function createForkServers({ wall, max, idle_ms }: ForkServersOptions): ForkServers {
  // The one that was used last is the last.
  const kinds = new Map<string, Kind>()
  const ending = new Set<Promise<void>>()
  let closed = false

  const end = async (server: Promise<ForkServer | null>) => {
    const ended = server.then(
      (started) => started?.close(),
      () => undefined,
    )
    ending.add(ended)
    await ended
    ending.delete(ended)
  }
  const drop = (key: string, kind: Kind) => {
    if (kinds.get(key) === kind) kinds.delete(key)
    clearTimeout(kind.timer)
    return end(kind.server)
  }
  const start = (key: string, command: WalledCommand): Kind => {
    if (kinds.size >= max) {
      const idle = [...kinds].find(([, { users }]) => users === 0)
      if (idle) void drop(...idle)
    }
    const kind: Kind = {
      command,
      server: startForkServer(wall, command),
      users: 0,
      timer: undefined,
    }
    kind.server.catch(() => drop(key, kind))
    kinds.set(key, kind)
    return kind
  }
  const rest = (key: string, kind: Kind) => {
    clearTimeout(kind.timer)
    kind.timer = setTimeout(() => {
      if (kind.users === 0) void drop(key, kind)
    }, idle_ms).unref()
  }
  const take = async (key: string, command: WalledCommand, signal: AbortSignal) => {
    for (;;) {
      signal.throwIfAborted()
      const kind = kinds.get(key) ?? start(key, command)
      kinds.delete(key)
      kinds.set(key, kind)
      kind.users++
      clearTimeout(kind.timer)
      const server = await unlessAborted(kind.server, signal).catch((error: unknown) => {
        kind.users--
        throw error
      })
      if (!server || server.alive) return { kind, server }
      // It has died since.
      kind.users--
      if (kinds.get(key) === kind) kinds.delete(key)
    }
  }

  return {
    async use(command, signal, work) {
      if (closed) throw new Error('tools are no longer run: Loci is ending')
      const key = JSON.stringify(command)
      const { kind, server } = await take(key, command, signal)
      try {
        return server && (await work(server))
      } finally {
        kind.users--
        if (kind.users === 0) rest(key, kind)
      }
    },
    async close() {
      closed = true
      await Promise.all([...kinds].map(([key, kind]) => drop(key, kind)))
      await Promise.all(ending)
    },
  }
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

import type { LociClient } from '../shared/client/http.ts'
import { CallQueue } from './call-queue.ts'
import type { McpDeps } from './deps.ts'
import { ResourceUpdates } from './resources/updates.ts'
import { Decisions } from './turn/decisions.ts'

/** What the connections of one process share. */
export interface McpProcess {
  deps: McpDeps
  /** Turns that were begun here and are still read. */
  turns: ReadonlySet<Promise<unknown>>
  /** From now on calls that are aborted were left by their hosts, not cancelled: their turns go on. */
  leave: () => void
  /** Stops following changes and closes the client, if it was opened. */
  close: () => Promise<void>
}

/** `open` is called at the first need of a client, and again at the next one when it failed. */
export function createMcpProcess(open: () => Promise<LociClient>, log: (text: string) => void): McpProcess {
  const turns = new Set<Promise<unknown>>()
  let hostsAreGone = false
  let opening: Promise<LociClient> | null = null
  const client = () => {
    opening ??= open().catch((error: unknown) => {
      opening = null
      throw error
    })
    return opening
  }
  const updates = new ResourceUpdates(client, log)
  return {
    deps: {
      client,
      log,
      hostIsGone: () => hostsAreGone,
      queue: new CallQueue(),
      decisions: new Decisions(),
      updates,
      finish(turn) {
        turns.add(turn)
        // Who asked for the turn hears of its failure.
        turn.catch(() => undefined).finally(() => turns.delete(turn))
      },
    },
    turns,
    leave() {
      hostsAreGone = true
    },
    async close() {
      updates.close()
      const opened = await opening?.catch(() => null)
      await opened?.close()
    },
  }
}

/** One line on stderr, for the operator. */
export function logLine(text: string): void {
  process.stderr.write(`loci mcp: ${text.replace(/\s*\n\s*/g, ' ')}\n`)
}

import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { LociClient } from '../shared/client/http.ts'
import { messageOf } from '../shared/schema/errors.ts'
import type { McpDeps } from './deps.ts'
import { createServerFactory } from './server.ts'
import type { McpSettings } from './settings.ts'
import { Decisions } from './turn/decisions.ts'

export interface McpStdioOptions {
  settings: McpSettings
  /** Opens the client. Called after the host's first message, again at the next call when it failed. */
  client: () => Promise<LociClient>
  /** Ends the connection as if the host had gone. */
  signal: AbortSignal
}

/** When the core is opened unless a tool asks for it: hosts ask for the list of tools right after their first answer. */
const OPEN_AFTER = 150

/**
 * Serves MCP on this process's stdin and stdout, in whichever protocol era the host opens with. Resolves when the host
 * has gone (end of stdin, or a broken stdout), the turns it began have ended, and the client is closed; when `signal`
 * aborts, without waiting for turns. Writes only protocol to stdout, logs to stderr.
 */
export async function serveMcpStdio(options: McpStdioOptions): Promise<void> {
  const log = (text: string) => void process.stderr.write(`loci mcp: ${text.replace(/\s*\n\s*/g, ' ')}\n`)
  const turns = new Set<Promise<unknown>>()
  let hostIsGone = false
  let opening: Promise<LociClient> | null = null
  const deps: McpDeps = {
    client() {
      opening ??= options.client().catch((error: unknown) => {
        opening = null
        throw error
      })
      return opening
    },
    log,
    hostIsGone: () => hostIsGone,
    decisions: new Decisions(),
    finish(turn) {
      turns.add(turn)
      // Who asked for the turn hears of its failure.
      turn.catch(() => undefined).finally(() => turns.delete(turn))
    },
  }

  const stopped = new Promise<void>((resolve) => {
    if (options.signal.aborted) resolve()
    else options.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  // Heard before the SDK hears it and aborts the calls: these then know that nobody cancelled them.
  const gone = new Promise<void>((resolve) => {
    const leave = () => {
      hostIsGone = true
      resolve()
    }
    process.stdin.once('end', leave).once('close', leave)
    process.stdout.once('error', leave)
  })
  const connection = serveStdio(createServerFactory(deps, options.settings), {
    onerror: (error) => log(messageOf(error)),
  })
  let early: NodeJS.Timeout | undefined
  process.stdin.once('data', () => {
    early = setTimeout(() => {
      deps.client().catch((error: unknown) => log(messageOf(error)))
    }, OPEN_AFTER)
  })

  await Promise.race([gone, stopped])
  clearTimeout(early)
  await connection.close()
  if (turns.size > 0 && hostIsGone) {
    log('The host has gone; its last turn goes on to its end.')
    await Promise.race([Promise.allSettled(turns), stopped])
  }
  const opened = await (opening as Promise<LociClient> | null)?.catch(() => null)
  await opened?.close()
}

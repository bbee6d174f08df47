import type { McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { LociClient } from '../shared/client/http.ts'
import { messageOf } from '../shared/schema/errors.ts'
import { createMcpProcess, logLine as log } from './process.ts'
import { sendChange } from './resources/subscribe.ts'
import { createServerFactory } from './server.ts'
import type { McpSettings } from './settings.ts'
import { StdioTransport } from './stdio-transport.ts'

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
  const { deps, turns, leave, close } = createMcpProcess(options.client, log)
  let hostIsGone = false
  const stopped = new Promise<void>((resolve) => {
    const stop = () => {
      leave()
      resolve()
    }
    if (options.signal.aborted) stop()
    else options.signal.addEventListener('abort', stop, { once: true })
  })
  const gone = Promise.withResolvers<void>()
  const left = () => {
    hostIsGone = true
    leave()
    gone.resolve()
  }
  // Heard before the SDK hears it and aborts the calls: these then know that nobody cancelled them.
  process.stdin.once('end', left).once('close', left)
  process.stdout.once('error', left)

  const createServer = createServerFactory(deps, options.settings)
  const transport = new StdioTransport(deps.queue)
  let modern: McpServer | null = null
  const connection = serveStdio(
    (context) => {
      const server = createServer(context)
      if (context.era === 'modern') modern = server
      return server
    },
    { transport, onerror: (error) => log(messageOf(error)) },
  )
  watch(transport, {
    // The SDK serves these subscriptions itself and asks nobody; until there is one, changes need not be followed.
    listened() {
      const server = modern
      if (server) deps.updates.listen((change) => sendChange(server, deps, change, () => true))
    },
    closed: left,
  })
  let early: NodeJS.Timeout | undefined
  process.stdin.once('data', () => {
    early = setTimeout(() => {
      deps.client().catch((error: unknown) => log(messageOf(error)))
    }, OPEN_AFTER)
  })

  await Promise.race([gone.promise, stopped])
  clearTimeout(early)
  await connection.close()
  if (turns.size > 0 && hostIsGone) {
    log('The host has gone; its last turn goes on to its end.')
    await Promise.race([Promise.allSettled(turns), stopped])
  }
  await close()
}

/** Hears the first `subscriptions/listen` (2026-07-28) and the end, beside the SDK. */
function watch(transport: StdioTransport, events: { listened: () => void; closed: () => void }): void {
  const { onmessage, onclose } = transport
  let listened = false
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's objects are no event targets
  transport.onmessage = (message) => {
    onmessage?.(message)
    if (listened || !('method' in message) || message.method !== 'subscriptions/listen') return
    listened = true
    events.listened()
  }
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
  transport.onclose = () => {
    onclose?.()
    events.closed()
  }
}

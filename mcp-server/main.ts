import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { LociClient } from '../shared/client/http.ts'
import { messageOf } from '../shared/schema/errors.ts'
import { createMcpServer } from './server.ts'

export interface McpStdioOptions {
  /** Opens the client. Called after the host's first message, again at the next call when it failed. */
  client: () => Promise<LociClient>
  /** Ends the connection as if the host had gone. */
  signal: AbortSignal
}

/**
 * Serves MCP on this process's stdin and stdout, in whichever protocol era the host opens with. Resolves when the host
 * has gone (end of stdin, or a broken stdout) or `signal` aborts, and the client is closed. Writes only protocol to stdout, logs to stderr.
 */
export async function serveMcpStdio(options: McpStdioOptions): Promise<void> {
  const log = (text: string) => void process.stderr.write(`loci mcp: ${text.replace(/\s*\n\s*/g, ' ')}\n`)
  let opening: Promise<LociClient> | null = null
  const client = () => {
    opening ??= options.client().catch((error: unknown) => {
      opening = null
      throw error
    })
    return opening
  }

  const gone = new Promise<void>((resolve) => {
    process.stdin.once('end', resolve).once('close', resolve)
    process.stdout.once('error', () => resolve())
    options.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const connection = serveStdio(() => createMcpServer({ client, log }), {
    onerror: (error) => log(messageOf(error)),
  })
  // The host waits for its first answer: the core, which is larger, is opened right after it.
  process.stdin.once('data', () =>
    setImmediate(() => {
      client().catch((error: unknown) => log(messageOf(error)))
    }),
  )

  await gone
  await connection.close()
  const opened = await (opening as Promise<LociClient> | null)?.catch(() => null)
  await opened?.close()
}

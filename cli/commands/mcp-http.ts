import { openLoci } from '../../shared/server/main.ts'
import { listenMcp } from '../../shared/server/serve.ts'
import { connect } from '../../shared/client/http.ts'
import { clientOf } from '../../shared/client/in-process.ts'
import { createMcpHttp } from '../../mcp-server/http.ts'
import { logLine } from '../../mcp-server/process.ts'
import { logFailure } from '../failure.ts'
import { keyFor } from '../server-key.ts'
import { untilStopped } from '../shutdown.ts'
import { tokenOf } from '../token.ts'
import { type McpCommand, settingsOf } from './mcp.ts'

/** Options of `loci mcp --http`. */
export interface McpHttpCommand extends McpCommand {
  /** Default 8284; 0 picks a free one. */
  port?: number
  host?: string
  /** Ask every request for the key. */
  auth?: boolean
}

/** The port after that of `loci server`. */
const PORT = 8284

/** `loci mcp --http`: MCP over Streamable HTTP. Returns when a signal has stopped it and everything is closed. */
export async function runMcpHttp(options: McpHttpCommand): Promise<void> {
  const stopped = untilStopped()
  const settings = settingsOf(options)
  const key = keyFor(options.auth === true, process.env)
  const loci =
    options.url === undefined ? await openLoci({ data: options.data, onFailure: logFailure }) : null
  try {
    loci?.reachableAt(options.host ?? '127.0.0.1')
    const remote = { url: options.url ?? '', token: tokenOf(process.env) }
    const client = loci ? clientOf(loci) : connect(remote)
    const mcp = createMcpHttp({ settings, client: () => Promise.resolve(client), log: logLine })
    const server = await listenMcp(mcp, {
      host: options.host ?? '127.0.0.1',
      port: options.port ?? PORT,
      key: key?.text ?? null,
      allowed_hosts: loci?.allowed_hosts ?? [],
      ...(loci ? { refusal: loci.refusal } : {}),
    })
    process.stdout.write(`MCP on ${server.url}/mcp\n`)
    if (key)
      process.stdout.write(
        key.made ? `Key, made for this run (LOCI_API_KEY sets one): ${key.text}\n` : `Key: ${key.from}\n`,
      )
    await stopped
    await server.close()
  } finally {
    if (loci) {
      await loci.drain(loci.shutdown_grace_ms)
      await loci.close()
    }
  }
}

import { logFailure } from '../failure.ts'
import { untilStopped } from '../shutdown.ts'
import { serveMcpStdio } from '../../mcp-server/main.ts'

/** `loci mcp`: MCP on stdio over a server, or over the data directory in this process. Returns when the host has gone. */
export async function runMcp(options: { url?: string; data?: string }): Promise<void> {
  const stop = new AbortController()
  void untilStopped().then(() => stop.abort())
  if (options.url !== undefined) {
    const { connect } = await import('../../shared/client/http.ts')
    const client = connect({ url: options.url, token: process.env['LOCI_TOKEN'] })
    return serveMcpStdio({ client: () => Promise.resolve(client), signal: stop.signal })
  }
  await serveMcpStdio({
    async client() {
      const { openInProcess } = await import('../../shared/client/in-process.ts')
      return openInProcess({ data: options.data, onFailure: logFailure })
    },
    signal: stop.signal,
  })
}

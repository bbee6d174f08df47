import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { fileURLToPath } from 'node:url'
import type { Scenario } from '../lib/context.ts'
import { call } from '../lib/http.ts'
import type { Row } from '../lib/report.ts'
import { LOCI, modelEnvironment, startDouble, startLoci } from '../lib/servers.ts'
import { sample, sum } from '../lib/stats.ts'

/** Bytes of a token in schemas like these, about. */
const TOKEN = 3.6
const AT_ONCE = 32

/** What an MCP host sees: how much the list of tools weighs, and calls a second beside the same over REST. */
export const mcp: Scenario = async (context) => {
  const count = context.sized(2000, 200, 32)
  await using double = await startDouble()
  const data = await context.folder()
  await using loci = await startLoci(double, data, false)
  const id = await loci.create()
  const row = (what: string, unit: Row['unit'], value: number, floor?: number, target?: string): Row => ({
    scenario: 'mcp',
    what,
    unit,
    value,
    ...(floor === undefined ? {} : { floor }),
    ...(target === undefined ? {} : { target }),
  })
  const rates = async (one: () => Promise<unknown>) => {
    await sample(50, one)
    const took = sum(await sample(count, one))
    const from = performance.now()
    await Promise.all(Array.from({ length: AT_ONCE }, () => sample(Math.ceil(count / AT_ONCE), one)))
    return { single: count / (took / 1000), many: count / ((performance.now() - from) / 1000) }
  }
  context.progress('mcp: the same over REST')
  const rest = await rates(() => call('GET', `${loci.url}/v1/agents/${id}/core-memory/blocks`))
  const env = { PATH: process.env['PATH'] ?? '', ...modelEnvironment(double, data) }
  const args = [fileURLToPath(LOCI), 'mcp', '--data', data]
  const transports = [
    ['stdio', new StdioClientTransport({ command: process.execPath, args, env, stderr: 'ignore' })],
    ['HTTP', new StreamableHTTPClientTransport(new URL('/mcp', loci.url))],
  ] as const
  const rows: Row[] = []
  for (const [name, transport] of transports) {
    context.progress(`mcp: calls over ${name}`)
    const client = new Client({ name: 'bench', version: '1' }, { versionNegotiation: { mode: 'auto' } })
    await client.connect(transport)
    try {
      if (name === 'stdio') {
        const { tools } = await client.listTools()
        const bytes = Buffer.byteLength(JSON.stringify(tools))
        rows.push(row(`tools/list, ${tools.length} tools`, 'bytes', bytes))
        rows.push(row('the same, about', 'tokens', bytes / TOKEN, undefined, '≤ 4000'))
      }
      const read = () => client.callTool({ name: 'memory_read', arguments: { agent: id } })
      const { single, many } = await rates(read)
      rows.push(row(`memory_read over ${name}, one at a time, next to REST`, 'calls/s', single, rest.single))
      rows.push(row(`the same, ${AT_ONCE} at once`, 'calls/s', many, rest.many))
    } finally {
      await client.close()
    }
  }
  return rows
}

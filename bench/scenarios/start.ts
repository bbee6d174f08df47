import { Agent, get } from 'node:http'
import { startNode } from '../lib/child.ts'
import type { Scenario } from '../lib/context.ts'
import { freePort } from '../lib/free-port.ts'
import type { Row } from '../lib/report.ts'
import {
  BARE,
  type Double,
  LOCI,
  modelEnvironment,
  startBare,
  startDouble,
  startLoci,
} from '../lib/servers.ts'
import { median } from '../lib/stats.ts'

const NOTHING = new URL('../lib/nothing.mjs', import.meta.url)

/** From the start of a process to its first answer, and the memory it then has. */
export const start: Scenario = async (context) => {
  const rounds = context.sized(25, 5, 1)
  await using double = await startDouble()
  const data = await context.folder()
  const node: number[] = []
  const bare: number[] = []
  const loci: number[] = []
  const mcp: number[] = []
  const first = await untilHealthy(LOCI, lociArgs(await context.folder()), '/v1/health/', double)
  // The first start of each fills the compile cache; it is not counted.
  for (let round = -1; round < rounds; round++) {
    context.progress(`start: round ${round + 1} of ${rounds}`)
    const took = [
      await bareNode(),
      await untilHealthy(BARE, (port) => [String(port)], '/health', double),
      await untilHealthy(LOCI, lociArgs(data), '/v1/health/', double),
      await untilMcpAnswer(data, double),
    ] as const
    if (round >= 0) for (const [i, list] of [node, bare, loci, mcp].entries()) list.push(took[i]!)
  }
  const row = (what: string, value: number, floor?: number, target?: string): Row => ({
    scenario: 'start',
    what,
    unit: 'ms',
    value,
    ...(floor === undefined ? {} : { floor }),
    ...(target === undefined ? {} : { target }),
  })
  return [
    row('bare node, first byte', median(node)),
    row('loci server to healthy', median(loci), median(bare), '≤ 2×'),
    row('loci server to healthy, new data directory (once)', first, median(bare)),
    row('loci mcp to its first answer, next to bare node', median(mcp), median(node), '≤ 2.5×'),
    await memory(double, data),
  ]
}

const lociArgs = (data: string) => (port: number) => ['server', '--port', String(port), '--data', data]

async function bareNode(): Promise<number> {
  const from = performance.now()
  await using child = startNode(NOTHING, [])
  await child.waitFor(/./)
  return performance.now() - from
}

async function untilHealthy(
  file: URL,
  args: (port: number) => string[],
  path: string,
  double: Double,
): Promise<number> {
  const port = await freePort()
  const env = modelEnvironment(double, '/')
  const from = performance.now()
  await using child = startNode(file, args(port), { env })
  while (!(await isHealthy(`http://127.0.0.1:${port}${path}`))) {
    if (child.process.exitCode !== null)
      throw new Error(`${file.pathname} ended with ${child.process.exitCode}`)
    if (performance.now() - from > 60_000) throw new Error(`${file.pathname} is not healthy after 60 s`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return performance.now() - from
}

const noKeepAlive = new Agent()

function isHealthy(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    get(url, { agent: noKeepAlive }, (incoming) => {
      incoming.resume()
      incoming.once('end', () => resolve(incoming.statusCode === 200))
    }).on('error', () => resolve(false))
  })
}

/** As an MCP host begins: it asks at once, and waits for the first line. */
async function untilMcpAnswer(data: string, double: Double): Promise<number> {
  const params = {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'loci-bench', version: '1' },
  }
  const from = performance.now()
  await using child = startNode(LOCI, ['mcp', '--data', data], { env: modelEnvironment(double, '/') })
  child.process.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })}\n`)
  const [answer] = await child.waitFor(/^.*\n/)
  const took = performance.now() - from
  if (!answer.includes('"serverInfo"')) throw new Error(`loci mcp answered ${answer}`)
  return took
}

async function memory(double: Double, data: string): Promise<Row> {
  await using bare = await startBare(double)
  await using loci = await startLoci(double, data)
  return {
    scenario: 'start',
    what: 'resident memory after the start',
    unit: 'MB',
    value: (await loci.child.probe()).rss_mb,
    floor: (await bare.child.probe()).rss_mb,
    target: '≤ 1.3×',
  }
}

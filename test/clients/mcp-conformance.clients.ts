/** The official MCP conformance suite, for both protocol eras: on the product's transport, and on the product itself. */
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { createTransport } from '../../mcp-server/http.ts'
import { listenMcp } from '../../shared/server/serve.ts'
import { cleanEnvironment, type Running, start, temporaryFolder } from '../support/cli-process.ts'
import { startMcpHttp } from '../support/mcp-hosts.ts'
import { everything } from './mcp/everything.ts'
import { conformance } from './mcp/tools.ts'

const ERAS = ['2025-11-25', '2026-07-28'] as const
const expected = (era: string) =>
  fileURLToPath(new URL(`./mcp/expected-failures-${era}.yaml`, import.meta.url))

async function suite(url: string, args: string[]): Promise<void> {
  const program = start(process.execPath, [conformance(), 'server', '--url', url, ...args], {
    PATH: process.env['PATH'] ?? '',
  })
  const { code } = await program.exited
  const summary = program.stdout.slice(program.stdout.indexOf('=== SUMMARY ==='))
  assert.equal(code, 0, `${summary}\n${program.stderr}`)
  console.log(`      ${/Total: .*/.exec(summary)?.[0]}`)
}

describe('the MCP conformance suite', function () {
  this.timeout(300_000)
  before(() => void conformance())

  describe('on the transport, with a server of every feature', () => {
    let server: { url: string; close(): Promise<void> }
    const log: string[] = []
    before(async () => {
      const transport = createTransport(everything, { log: (text) => log.push(text), updates: null })
      server = await listenMcp(
        { fetch: transport.fetch, close: transport.end },
        { host: '127.0.0.1', port: 0, key: null, allowed_hosts: [] },
      )
    })
    after(() => server?.close())
    for (const era of ERAS) it(`passes for ${era}`, () => suite(`${server.url}/mcp`, ['--requirements', era]))
  })

  describe('on loci mcp --http', () => {
    let running: { server: Running; url: URL }
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    before(async () => {
      folder = await temporaryFolder()
      running = await startMcpHttp([], cleanEnvironment(folder.path))
    })
    after(async () => {
      await running?.server.stop()
      await folder.remove()
    })
    for (const era of ERAS)
      it(`fails for ${era} only where its fixtures are missing`, () =>
        suite(running.url.href, ['--requirements', era, '--expected-failures', expected(era)]))
  })
})

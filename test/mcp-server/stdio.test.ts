import assert from 'node:assert/strict'
import { cleanEnvironment, LOCI, start, temporaryFolder, withDeadline } from '../support/cli-process.ts'
import { HOSTS } from '../support/mcp-hosts.ts'

describe('loci mcp', () => {
  it('ends in order on SIGTERM', async () => {
    const folder = await temporaryFolder()
    const mcp = start(process.execPath, [LOCI, 'mcp'], cleanEnvironment(folder.path))
    try {
      const clientInfo = { name: 'raw', version: '1' }
      const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo }
      mcp.child.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })}\n`)
      await mcp.waitFor(/serverInfo/)
      assert.deepEqual(await mcp.stop(), { code: 0, signal: null })
      assert.equal(mcp.stderr, '')
    } finally {
      await mcp.stop()
      await folder.remove()
    }
  })

  it('ends when its host closes stdin, having written only protocol to stdout', async () => {
    const folder = await temporaryFolder()
    const mcp = start(process.execPath, [LOCI, 'mcp'], cleanEnvironment(folder.path))
    try {
      const send = (message: object) => mcp.child.stdin?.write(`${JSON.stringify(message)}\n`)
      const clientInfo = { name: 'raw', version: '1' }
      const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo }
      send({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
      send({ jsonrpc: '2.0', method: 'notifications/initialized' })
      mcp.child.stdin?.write('this is not JSON\n')
      send({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'agent_list', arguments: {} } })
      await mcp.waitFor(/no agents yet/)
      mcp.child.stdin?.end()
      assert.deepEqual(await withDeadline(mcp.exited, 'end after stdin'), { code: 0, signal: null })
      for (const line of mcp.stdout.trimEnd().split('\n')) {
        assert.equal((JSON.parse(line) as { jsonrpc: string }).jsonrpc, '2.0')
      }
    } finally {
      await mcp.stop()
      await folder.remove()
    }
  })

  it('answers a host although its data directory cannot be used, and says so in each call', async () => {
    const folder = await temporaryFolder()
    const [, connect] = HOSTS[1]!
    const host = await connect(['--data', `${LOCI}/no`], cleanEnvironment(folder.path))
    try {
      assert.equal((await host.tools()).length, 16)
      const { text, isError } = await host.call('agent_list', {})
      assert.equal(isError, true)
      assert.ok(text.includes(LOCI), text)
    } finally {
      await host.close()
      await folder.remove()
    }
  })
})

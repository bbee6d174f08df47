import assert from 'node:assert/strict'
import type { NewMcpTool } from '../../../shared/core/ports/mcp-server-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { HttpConfig, McpServerConfig } from '../../../shared/schema/mcp-server.ts'
import type { Subject } from '../store.contract.ts'
import { aTool } from './own-tools.ts'
import { aBuiltin, ADA, anAgent, EVE } from './samples.ts'

const config: HttpConfig = {
  mcp_server_type: 'streamable_http',
  server_url: 'https://example.com/mcp',
  auth_header: 'X-Key',
  auth_token: 's3cret 🔑',
  custom_headers: { a: 'b' },
}

/** A server as it is stored first. */
export const aServer = (
  server_name: string,
  more: Partial<{ config: McpServerConfig; created_at: string }> = {},
) => ({
  id: newId('mcp_server'),
  server_name,
  config,
  created_at: '2026-11-22T10:00:00.000Z',
  ...more,
})

/** A tool as a server offers it, under the names that it may have. */
const offered = (tool_name: string, names = [tool_name], description = 'Does it.'): NewMcpTool => ({
  tool_name,
  names,
  tool: aTool(tool_name, { tool_type: 'external_mcp', source_code: null, description, tags: ['mcp:house'] }),
})

const KEEP = { delete_others: false }
const ALL = { delete_others: true }

/** Servers of MCP and their tools. */
export function describeMcpServers(subject: Subject): void {
  describe('MCP servers', () => {
    it('are kept with all that is secret in them, and listed newest first', async () => {
      const { mcp_servers } = subject.store
      const stdio = { mcp_server_type: 'stdio', command: 'npx', args: ['-y', 'x'], env: { A: 'b' } } as const
      const one = await mcp_servers.create(ADA, aServer('one'))
      const two = await mcp_servers.create(
        ADA,
        aServer('two', {
          config: { ...stdio, args: [...stdio.args] },
          created_at: '2026-11-22T11:00:00.000Z',
        }),
      )
      assert.deepEqual([one.config, two.config], [config, stdio])
      assert.deepEqual(await mcp_servers.get(ADA, one.id), one)
      assert.deepEqual(await mcp_servers.named(ADA, 'two'), two)
      assert.deepEqual(await mcp_servers.list(ADA), [two, one])
    })

    it('have names of their own', async () => {
      const { mcp_servers } = subject.store
      const one = await mcp_servers.create(ADA, aServer('one'))
      const two = await mcp_servers.create(ADA, aServer('two'))
      await assert.rejects(mcp_servers.create(ADA, aServer('one')), { code: 'conflict' })
      await assert.rejects(mcp_servers.update(ADA, two.id, { server_name: 'one' }), { code: 'conflict' })
      assert.equal((await mcp_servers.update(ADA, one.id, { server_name: 'one' }))?.server_name, 'one')
      await mcp_servers.create(EVE, aServer('one'))
    })

    it('are nobody else’s', async () => {
      const { mcp_servers } = subject.store
      const { id } = await mcp_servers.create(ADA, aServer('house'))
      await mcp_servers.sync(ADA, id, [offered('knock')], KEEP)
      await mcp_servers.setCredentials(ADA, id, 'consent')
      const [tool] = await mcp_servers.tools(ADA, id)
      assert.equal(await mcp_servers.get(EVE, id), null)
      assert.equal(await mcp_servers.named(EVE, 'house'), null)
      assert.deepEqual(await mcp_servers.list(EVE), [])
      assert.equal(await mcp_servers.update(EVE, id, { server_name: 'stolen' }), null)
      assert.equal(await mcp_servers.delete(EVE, id), false)
      assert.deepEqual(await mcp_servers.tools(EVE, id), [])
      assert.equal(await mcp_servers.serverOf(EVE, tool?.id ?? ''), null)
      assert.equal(await mcp_servers.credentials(EVE, id), null)
      await mcp_servers.setCredentials(EVE, id, null)
      await mcp_servers.sync(EVE, id, [], ALL)
      assert.equal(await mcp_servers.credentials(ADA, id), 'consent')
      assert.equal((await mcp_servers.tools(ADA, id)).length, 1)
    })

    it('add, change and delete their tools; those that stay keep their ids and names', async () => {
      const { mcp_servers } = subject.store
      const { id } = await mcp_servers.create(ADA, aServer('house'))
      const none = { added: [], updated: [], deleted: [], refused: [] }
      const first = await mcp_servers.sync(ADA, id, [offered('knock'), offered('ring')], ALL)
      assert.deepEqual(first, { ...none, added: ['knock', 'ring'] })
      const [knock] = await mcp_servers.tools(ADA, id)
      assert.deepEqual(await mcp_servers.serverOf(ADA, knock?.id ?? ''), {
        server: await mcp_servers.get(ADA, id),
        tool_name: 'knock',
      })
      const event = await subject.store.events.lastId()
      assert.deepEqual(await mcp_servers.sync(ADA, id, [offered('knock'), offered('ring')], ALL), none)
      assert.equal(await subject.store.events.lastId(), event, 'nothing changed, so nothing is told')
      const louder = offered('knock', ['bang'], 'Louder.')
      assert.deepEqual(await mcp_servers.sync(ADA, id, [louder], KEEP), { ...none, updated: ['knock'] })
      assert.deepEqual(await mcp_servers.sync(ADA, id, [louder], ALL), { ...none, deleted: ['ring'] })
      const [after] = await mcp_servers.tools(ADA, id)
      assert.deepEqual([after?.id, after?.name, after?.description], [knock?.id, 'knock', 'Louder.'])
    })

    it('never take the name of another tool', async () => {
      const { store } = subject
      await store.tools.seed(ADA, [aBuiltin('memory_insert')])
      await store.tools.upsert(ADA, aTool('mine'), {})
      const { id } = await store.mcp_servers.create(ADA, aServer('house'))
      const result = await store.mcp_servers.sync(
        ADA,
        id,
        [offered('memory_insert', ['memory_insert', 'house_memory_insert']), offered('mine', ['mine'])],
        ALL,
      )
      assert.deepEqual([result.added, result.refused], [['house_memory_insert'], ['mine']])
      const [tool] = await store.mcp_servers.tools(ADA, id)
      assert.deepEqual(
        [tool?.name, tool?.json_schema?.['name']],
        ['house_memory_insert', 'house_memory_insert'],
      )
      assert.equal(
        (await store.tools.list(ADA, { name: 'mine' }, { limit: 1, order: 'asc' }))[0]?.tool_type,
        'custom',
      )
    })

    it('take in a tool of no server that is tagged as theirs', async () => {
      const { store } = subject
      const orphan = aTool('knock', { tool_type: 'external_mcp', tags: ['mcp:house', 'loud'] })
      await store.tools.upsert(ADA, orphan, {})
      const other = await store.mcp_servers.create(ADA, aServer('other'))
      assert.deepEqual((await store.mcp_servers.sync(ADA, other.id, [offered('knock')], ALL)).refused, [
        'knock',
      ])
      const { id } = await store.mcp_servers.create(ADA, aServer('house'))
      await store.mcp_servers.sync(ADA, id, [offered('knock')], ALL)
      const [tool] = await store.mcp_servers.tools(ADA, id)
      assert.deepEqual([tool?.id, tool?.tags], [orphan.id, ['mcp:house', 'loud']])
    })

    it('go with their tools, also from agents', async () => {
      const { store } = subject
      const { id } = await store.mcp_servers.create(ADA, aServer('house'))
      await store.mcp_servers.sync(ADA, id, [offered('knock')], ALL)
      const [tool] = await store.mcp_servers.tools(ADA, id)
      const agent = await store.agents.create(ADA, anAgent('ada', { tool_ids: [tool?.id ?? ''] }))
      assert.equal(agent.tools.length, 1)
      assert.equal(await store.mcp_servers.delete(ADA, id), true)
      assert.equal(await store.mcp_servers.delete(ADA, id), false)
      assert.equal(await store.tools.get(ADA, tool?.id ?? ''), null)
      assert.deepEqual((await store.agents.get(ADA, agent.id, ['agent.tools']))?.tools, [])
    })

    it('carry a new name to their tools', async () => {
      const { mcp_servers } = subject.store
      const { id } = await mcp_servers.create(ADA, aServer('house'))
      await mcp_servers.sync(ADA, id, [offered('knock')], ALL)
      await mcp_servers.update(ADA, id, { server_name: 'home' })
      const [tool] = await mcp_servers.tools(ADA, id)
      assert.deepEqual(tool?.tags, ['mcp:home'])
      assert.deepEqual(tool?.metadata_?.['mcp'], { server_name: 'home' })
    })

    it('keep what their user has consented to, until they are reached elsewhere', async () => {
      const { mcp_servers } = subject.store
      const { id } = await mcp_servers.create(ADA, aServer('house'))
      assert.equal(await mcp_servers.credentials(ADA, id), null)
      await mcp_servers.setCredentials(ADA, id, '{"tokens":"🔑"}')
      assert.equal(await mcp_servers.credentials(ADA, id), '{"tokens":"🔑"}')
      await mcp_servers.update(ADA, id, { config: { ...config, auth_token: null } })
      assert.equal(await mcp_servers.credentials(ADA, id), '{"tokens":"🔑"}')
      await mcp_servers.update(ADA, id, { config: { ...config, server_url: 'https://other.example/mcp' } })
      assert.equal(await mcp_servers.credentials(ADA, id), null)
    })
  })
}

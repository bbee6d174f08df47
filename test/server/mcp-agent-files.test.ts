import assert from 'node:assert/strict'
import { join } from 'node:path'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { startHandMcp } from '../support/mcp-http.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

const PROGRAM = join(import.meta.dirname, '..', 'tools', 'fixtures', 'mcp-program.ts')

interface AgentFile {
  tools: { name: string }[]
  mcp_servers: {
    server_name: string
    server_type: string
    server_url: string | null
    stdio_config: object | null
  }[]
}

describe('MCP servers in agent files', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))

  const exported = async (from: TestLoci, agent_id: string) => {
    const { body } = await from.http('GET', `/v1/agents/${agent_id}/export`)
    return body as AgentFile
  }
  const imported = async (to: TestLoci, file: AgentFile) => {
    const form = new FormData()
    form.set('file', new Blob([JSON.stringify(file)]), 'agent.af')
    const answer = await fetch(`${to.url}/v1/agents/import`, { method: 'POST', body: form })
    assert.equal(answer.status, 200, await answer.clone().text())
    return (await answer.json()) as { agent_ids: string[]; warnings: string[] }
  }

  it('come along with the tools of an agent: over HTTP they work at once, without what is secret', async () => {
    const hand = await startHandMcp()
    const other = await startLoci({ model_url: model.url })
    try {
      await t.letta.mcpServers.create({
        server_name: 'house',
        config: {
          mcp_server_type: 'streamable_http',
          server_url: `${hand.url}/mcp?api_key=abcdef&room=1`,
          auth_token: 'looked-for-secret',
          custom_headers: { 'X-Also': 'looked-for-secret' },
        },
      })
      const agent = await t.letta.agents.create({ model: SCRIPTED, memory_blocks: [], tools: ['echo'] })
      const file = await exported(t, agent.id)
      assert.deepEqual(file.mcp_servers, [
        {
          id: 'mcp_server-0',
          server_type: 'streamable_http',
          server_name: 'house',
          server_url: `${hand.url}/mcp?room=1`,
          stdio_config: null,
          metadata_: null,
        },
      ])
      assert.ok(!JSON.stringify(file).includes('looked-for-secret'))
      const { agent_ids, warnings } = await imported(other, file)
      assert.match(warnings.join(' '), /MCP server 'house' \(http.*\) was added without credentials/)
      model.add({ reply: { tool_calls: [{ name: 'echo', arguments: {} }] } }, { reply: { text: 'Done.' } })
      const { messages } = await other.letta.agents.messages.create(agent_ids[0] ?? '', { input: 'go' })
      const returned = messages.find((message) => message.message_type === 'tool_return_message')
      assert.ok(returned?.message_type === 'tool_return_message')
      assert.equal(returned.tool_return, 'called echo')
      const again = await exported(other, agent_ids[0] ?? '')
      assert.deepEqual(again.mcp_servers, file.mcp_servers)
      // Once more: the server is there.
      const second = await imported(other, file)
      assert.ok(!second.warnings.some((text) => text.includes('house')), second.warnings.join(' '))
      assert.equal((await other.letta.mcpServers.list()).length, 1)
    } finally {
      await other.close()
      await hand.close()
    }
  })

  it('that are programs are named, and not started', async () => {
    const other = await startLoci()
    try {
      await t.letta.mcpServers.create({
        server_name: 'sums',
        config: {
          mcp_server_type: 'stdio',
          command: process.execPath,
          args: [PROGRAM, 'well', '--token', 'looked-for-secret', '--api-key=looked-for-secret'],
          env: { A: 'looked-for-secret' },
        },
      })
      const agent = await t.letta.agents.create({ model: SCRIPTED, memory_blocks: [], tools: ['add'] })
      const file = await exported(t, agent.id)
      assert.ok(!JSON.stringify(file).includes('looked-for-secret'))
      assert.deepEqual(file.mcp_servers[0]?.stdio_config, {
        server_name: 'sums',
        type: 'stdio',
        command: process.execPath,
        args: [PROGRAM, 'well', '--token', '…', '--api-key=…'],
      })
      const { warnings } = await imported(other, file)
      assert.match(warnings.join(' '), /MCP server 'sums' was not added: it is a program of this machine \(/)
      assert.deepEqual(await other.letta.mcpServers.list(), [])
      const config = { mcp_server_type: 'stdio' as const, command: process.execPath, args: [PROGRAM, 'well'] }
      const { id = '' } = await other.letta.mcpServers.create({ server_name: 'sums', config })
      const tools = await other.letta.mcpServers.tools.list(id)
      assert.ok(
        tools.some(({ name }) => name === 'add'),
        'the tool of the file is the server’s own now',
      )
    } finally {
      await other.close()
    }
  })
})

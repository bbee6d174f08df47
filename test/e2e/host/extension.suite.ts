import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import * as vscode from 'vscode'
import { connect, type LociClient } from '../../../shared/client/http.ts'
import type { LociExports } from '../../../extension/host/extension.ts'
import type { Entry } from '../../../extension/host/views/entry.ts'

/** Where Start Local Server begins to look for a free port. */
const PORT = 8283

interface Manifest {
  contributes: { commands: { command: string }[] }
}

/** The tests, in the order of a session: each builds on the one before. */
export function defineSuite(): void {
  describe('the extension', () => {
    const extension = () => {
      const found = vscode.extensions.getExtension<LociExports>('loci.loci')
      assert.ok(found, 'the extension is there')
      return found
    }
    let client: LociClient
    let pid = 0
    let agentId = ''
    let token = ''
    /** As an app would: by what the command copies. */
    const connectAsOthers = async () => {
      await vscode.commands.executeCommand('loci.copyServerUrl')
      const copied = new Map(
        (await vscode.env.clipboard.readText())
          .split('\n')
          .map((line) => line.split('=') as [string, string]),
      )
      token = copied.get('LETTA_API_KEY') ?? ''
      assert.equal(copied.get('LETTA_BASE_URL'), extension().exports.serverUrl())
      assert.ok(token.length >= 32, 'a token that nobody guesses')
      return connect({ url: copied.get('LETTA_BASE_URL') ?? '', token })
    }
    const rows = (view: 'agents' | 'blocks' | 'tools') => extension().exports.entries(view)
    const under = async (entry: Entry | undefined) => (await entry?.children?.()) ?? []

    after(async () => {
      await client?.close()
      writeFileSync(process.env['LOCI_E2E_RESULTS'] ?? '', JSON.stringify({ activation, server_pid: pid }))
    })
    let activation = Number.NaN

    it('does nothing until it is used', () => {
      assert.equal(extension().isActive, false)
      assert.deepEqual(serversOf(process.pid), [])
    })

    it('activates quickly and starts no server by that', async () => {
      const start = performance.now()
      await extension().activate()
      activation = performance.now() - start
      console.log(`      registering takes ${extension().exports.activationTime.toFixed(1)} ms of it`)
      assert.equal(extension().exports.serverUrl(), null)
      assert.deepEqual(serversOf(process.pid), [])
    })

    it('registers every command that it offers', async () => {
      const known = new Set(await vscode.commands.getCommands(true))
      const { contributes } = extension().packageJSON as Manifest
      assert.deepEqual(
        contributes.commands.map(({ command }) => command).filter((command) => !known.has(command)),
        [],
      )
    })

    it('starts one server of its own on demand, at a well-known port and with a token', async () => {
      const environment = { ...process.env }
      await vscode.commands.executeCommand('loci.startServer')
      const url = extension().exports.serverUrl()
      assert.match(url ?? '', /^http:\/\/127\.0\.0\.1:\d+$/)
      const port = Number(new URL(url ?? '').port)
      assert.ok(port >= PORT && port <= PORT + 20, `the port of the settings or the next free one: ${port}`)
      pid = extension().exports.serverPid() ?? 0
      assert.deepEqual(serversOf(process.pid), [pid])
      assert.deepEqual({ ...process.env }, environment, 'what the child gets stays out of this process')
      await vscode.commands.executeCommand('loci.startServer')
      assert.deepEqual(serversOf(process.pid), [pid], 'a second start finds the first')
    })

    it('gives other programs the address and token of its server, and nobody gets in without', async () => {
      client = await connectAsOthers()
      assert.match((await client.health()).version, /^\d+\.\d+\.\d+/)
      const url = extension().exports.serverUrl() ?? ''
      assert.equal((await fetch(`${url}/v1/agents/`)).status, 401)
      assert.equal((await fetch(`${url}/docs`)).status, 200)
      const out = execFileSync('curl', ['-s', '-H', `Authorization: Bearer ${token}`, `${url}/v1/agents/`])
      assert.equal(out.toString(), '[]')
    })

    it('fills the trees when the container is opened', async () => {
      await vscode.commands.executeCommand('workbench.view.extension.loci')
      await eventually('the Tools view lists the built-in tools', () => {
        const group = rows('tools').find((entry) => entry.label === 'Built-in')
        const labels = (group?.children?.() as Entry[] | undefined)?.map((entry) => entry.label) ?? []
        return labels.includes('memory_insert') && labels.includes('conversation_search')
      })
      assert.deepEqual(extension().exports.entries('agents'), [])
    })

    it('shows an agent that is created elsewhere within a second, with its blocks and tools', async () => {
      const agent = await client.letta.agents.create({
        name: 'Elsewhere',
        model: 'loci/demo',
        memory_blocks: [
          { label: 'human', value: 'Nothing yet.' },
          { label: 'persona', value: 'I am a test.' },
        ],
      })
      agentId = agent.id
      await within(1000, 'the Agents view shows it', () => rows('agents')[0]?.label === 'Elsewhere')
      const inside = await under(rows('agents')[0])
      assert.deepEqual(
        inside.map((entry) => entry.label),
        ['human', 'persona', 'Tools', 'Conversations', 'Files'],
      )
      const tools = (await under(inside[2])).map((entry) => entry.label)
      assert.ok(tools.includes('memory_insert'), tools.join())
    })

    it('shows an edit of a block from outside within a second', async () => {
      await client.letta.agents.blocks.update('human', {
        agent_id: agentId,
        value: 'Name: Ada. Lives in London.',
      })
      await within(1000, 'the Blocks view shows it', () =>
        extension()
          .exports.entries('blocks')
          .some((entry) => entry.description === 'Elsewhere · Name: Ada. Lives in London.'),
      )
    })

    it('opens one chat tab for an agent, however often it is asked', async () => {
      for (let n = 0; n < 2; n++) await vscode.commands.executeCommand('loci.openChat', agentId)
      await eventually('the tab is there', () => chatTabs().length > 0)
      assert.deepEqual(chatTabs(), ['Elsewhere'])
    })

    it('renames tree row and tab when the agent is renamed elsewhere', async () => {
      await client.letta.agents.update(agentId, { name: 'Renamed' })
      await within(1000, 'tree and tab carry the new name', () => {
        const [entry] = extension().exports.entries('agents')
        return entry?.label === 'Renamed' && chatTabs()[0] === 'Renamed'
      })
    })

    it('attaches a block to a second agent and takes it away again', async () => {
      const second = await client.letta.agents.create({ name: 'Second', model: 'loci/demo' })
      await eventually('the second is there', () => rows('agents').length === 2)
      const row = rows('blocks').find((entry) => entry.label === 'human')
      assert.ok(row?.object_id)
      await client.letta.agents.blocks.attach(row.object_id, { agent_id: second.id })
      await within(1000, 'the Blocks view names both', () =>
        rows('blocks').some((entry) => entry.spoken.includes('Shared by Renamed, Second')),
      )
      const agent = rows('agents').find((entry) => entry.label === 'Second')
      const [attached] = await under(agent)
      assert.equal(attached?.label, 'human')
      await vscode.commands.executeCommand('loci.detach', attached)
      await within(1000, 'it is the memory of one again', () =>
        rows('blocks').some((entry) => entry.spoken.includes('Memory of Renamed')),
      )
      await client.letta.agents.delete(second.id)
    })

    it('duplicates an agent with its memory', async () => {
      await eventually('one is left', () => rows('agents').length === 1)
      await vscode.commands.executeCommand('loci.duplicateAgent', rows('agents')[0])
      await eventually('the copy is there', () => rows('agents').length === 2)
      const copy = () => rows('agents').find((entry) => entry.label === 'Renamed copy')
      await eventually('it has the memory', async () => {
        const [human] = await under(copy())
        return human?.tooltip.text === 'Name: Ada. Lives in London.'
      })
      await client.letta.agents.delete(copy()?.object_id ?? '')
      await eventually('the copy is gone', () => rows('agents').length === 1)
    })

    it('imports an agent file and opens its chat', async () => {
      const file = join(tmpdir(), `loci-${process.pid}.af`)
      const text = await (await client.letta.agents.exportFile(agentId).asResponse()).text()
      writeFileSync(file, text.replaceAll('"Renamed"', '"Imported"'))
      await vscode.commands.executeCommand('loci.importAgent', vscode.Uri.file(file))
      rmSync(file)
      await eventually('its tab is there', () => chatTabs().includes('Imported'))
      const imported = rows('agents').find((entry) => entry.label === 'Imported')
      await client.letta.agents.delete(imported?.object_id ?? '')
      await eventually('it is gone', () => rows('agents').length === 1)
    })

    it('deletes a block that nobody uses without asking', async () => {
      await client.letta.blocks.create({ label: 'lonely', value: 'x' })
      const lonely = () => rows('blocks').find((entry) => entry.label === 'lonely')
      await eventually('the block is there', () => lonely() !== undefined)
      await vscode.commands.executeCommand('loci.delete', lonely())
      await within(1000, 'the block is gone', () => lonely() === undefined)
    })

    it('drops an agent that is deleted elsewhere within a second', async () => {
      await client.letta.agents.delete(agentId)
      await within(1000, 'the Agents view is empty', () => rows('agents').length === 0)
    })

    it("offers its MCP server to VS Code's own chat, whose tools it calls", async () => {
      await client.letta.agents.create({ name: 'Recalled', model: 'loci/demo' })
      // As the user does in "MCP: List Servers"; the chat starts it by itself when it is asked something.
      const id = 'loci.loci/Loci'
      const tool = () => vscode.lm.tools.find(({ name }) => name.endsWith('agent_list'))
      await eventually('VS Code lists the tools of the server', async () => {
        if (!tool()) await vscode.commands.executeCommand('workbench.mcp.startServer', id)
        return tool() !== undefined
      })
      const result = await vscode.lm.invokeTool(tool()?.name ?? '', {
        input: {},
        toolInvocationToken: undefined,
      })
      const said = JSON.stringify(result.content)
      assert.ok(said.includes('Recalled'), said)
      const [recalled] = rows('agents')
      await client.letta.agents.delete(recalled?.object_id ?? '')
    })

    it('stops the server when it is told to, and does not start it again by itself', async () => {
      await vscode.commands.executeCommand('loci.stopServer')
      await eventually('no server runs', () => serversOf(process.pid).length === 0)
      assert.deepEqual([extension().exports.serverUrl(), rows('agents').length], [null, 0])
      await vscode.commands.executeCommand('workbench.view.extension.loci')
      await vscode.commands.executeCommand('loci.agents.focus')
      assert.deepEqual(serversOf(process.pid), [])
      await vscode.commands.executeCommand('loci.startServer')
      pid = extension().exports.serverPid() ?? 0
      await client.close()
      client = await connectAsOthers()
    })

    it('opens what loci doctor reports as a document', async () => {
      await vscode.commands.executeCommand('loci.runDiagnostics')
      const text = vscode.window.activeTextEditor?.document.getText() ?? ''
      assert.match(text, /^# Loci diagnostics\n\n/)
      assert.match(text, /Server of this window: connected/)
      assert.match(text, /## Store in .*data/)
      assert.ok(!text.includes(token), 'no token in it')
      await vscode.commands.executeCommand('workbench.action.closeActiveEditor')
    })

    it('starts the server again when it dies, and shows what happened in between', async () => {
      process.kill(pid, 'SIGKILL')
      await eventually('another server runs', () => {
        const next = extension().exports.serverPid()
        return next !== null && next !== pid && extension().exports.serverUrl() !== null
      })
      pid = extension().exports.serverPid() ?? 0
      await client.close()
      client = await connectAsOthers()
      await client.letta.agents.create({ name: 'After', model: 'loci/demo' })
      await within(1000, 'the Agents view follows the new server', () => {
        return (
          extension()
            .exports.entries('agents')
            .map((entry) => entry.label)[0] === 'After'
        )
      })
    })
  })
}

/** Process ids of the Loci servers that are children of this process. */
function serversOf(parent: number): number[] {
  const list = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(parent)], { encoding: 'utf8' })
  return list
    .split('\n')
    .filter((line) => line.includes('loci.js server'))
    .map((line) => Number.parseInt(line, 10))
}

function chatTabs(): string[] {
  return vscode.window.tabGroups.all
    .flatMap((group) => group.tabs)
    .filter((tab) => tab.input instanceof vscode.TabInputWebview && tab.input.viewType.endsWith('loci.chat'))
    .map((tab) => tab.label)
}

/** The requirement itself: `condition` holds after at most `ms`. */
async function within(ms: number, label: string, condition: () => boolean): Promise<void> {
  const start = performance.now()
  await eventually(label, condition)
  const took = performance.now() - start
  assert.ok(took <= ms, `${label}: took ${took.toFixed(0)} ms`)
}

async function eventually(
  label: string,
  condition: () => boolean | Promise<boolean>,
  limit = 30_000,
): Promise<void> {
  const end = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited ${limit} ms in vain: ${label}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import * as vscode from 'vscode'
import { connect, type LociClient } from '../../../shared/client/http.ts'
import type { LociExports } from '../../../extension/host/extension.ts'

const COMMANDS = ['loci.newAgent', 'loci.openChat', 'loci.startServer', 'loci.refresh', 'loci.showLogs']

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
      assert.equal(extension().exports.serverUrl(), null)
      assert.deepEqual(serversOf(process.pid), [])
    })

    it('registers its commands', async () => {
      const known = new Set(await vscode.commands.getCommands(true))
      assert.deepEqual(
        COMMANDS.filter((command) => !known.has(command)),
        [],
      )
    })

    it('starts one server of its own on demand', async () => {
      const environment = { ...process.env }
      await vscode.commands.executeCommand('loci.startServer')
      const url = extension().exports.serverUrl()
      assert.match(url ?? '', /^http:\/\/127\.0\.0\.1:\d+$/)
      pid = extension().exports.serverPid() ?? 0
      assert.deepEqual(serversOf(process.pid), [pid])
      assert.deepEqual({ ...process.env }, environment, 'what the child gets stays out of this process')
      client = connect({ url: url ?? '' })
      assert.match((await client.health()).version, /^\d+\.\d+\.\d+/)
      await vscode.commands.executeCommand('loci.startServer')
      assert.deepEqual(serversOf(process.pid), [pid], 'a second start finds the first')
    })

    it('fills the trees when the container is opened', async () => {
      await vscode.commands.executeCommand('workbench.view.extension.loci')
      await eventually('the Tools view lists the built-in tools', () => {
        const labels = extension()
          .exports.entries('tools')
          .map((entry) => entry.label)
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
      await within(1000, 'the Agents view shows it', () => {
        const [entry] = extension().exports.entries('agents')
        const children = entry?.children?.().map((child) => child.label) ?? []
        return (
          entry?.label === 'Elsewhere' && children.includes('human') && children.includes('memory_insert')
        )
      })
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

    it('drops an agent that is deleted elsewhere within a second', async () => {
      await client.letta.agents.delete(agentId)
      await within(1000, 'the Agents view is empty', () => extension().exports.entries('agents').length === 0)
    })

    it('starts the server again when it dies, and shows what happened in between', async () => {
      process.kill(pid, 'SIGKILL')
      await eventually('another server runs', () => {
        const next = extension().exports.serverPid()
        return next !== null && next !== pid && extension().exports.serverUrl() !== null
      })
      pid = extension().exports.serverPid() ?? 0
      await client.close()
      client = connect({ url: extension().exports.serverUrl() ?? '' })
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

async function eventually(label: string, condition: () => boolean, limit = 30_000): Promise<void> {
  const end = Date.now() + limit
  while (!condition()) {
    if (Date.now() > end) throw new Error(`Waited ${limit} ms in vain: ${label}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

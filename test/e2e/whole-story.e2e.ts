/**
 * The whole product in one story, by four ways in over one data directory: `npm start`, the official SDK, the chat in
 * VS Code, and an MCP host. Then `kill -9` of everything, and all of it is still there.
 */
import Letta from '@letta-ai/letta-client'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '../../shared/client/http.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import { until } from './code-server.ts'
import { openWorkbench, VSIX } from './workbench.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const LOCI = join(ROOT, 'dist', 'loci.js')

/** The server as a user starts it: `npm start`, in a process group of its own. */
async function npmStart(data: string, env: NodeJS.ProcessEnv) {
  const child = spawn('npm', ['start', '--', '--port', '0', '--data', data], {
    cwd: ROOT,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  const closed = new Promise((resolve) => child.once('close', resolve))
  await until('npm start prints its URL', 60_000, () => /http:\/\/127\.0\.0\.1:\d+/.test(output))
  return {
    url: /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] ?? '',
    async kill() {
      process.kill(-(child.pid ?? 0), 'SIGKILL')
      await closed
    },
  }
}

/** An MCP host that starts `loci mcp`. */
async function mcpHost(data: string, env: NodeJS.ProcessEnv) {
  const clean = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [LOCI, 'mcp', '--data', data],
    env: Object.fromEntries(clean),
  })
  const client = new Client({ name: 'story', version: '1.0.0' })
  await client.connect(transport)
  return {
    async ask(agent: string, message: string): Promise<string> {
      const result = await client.callTool({ name: 'agent_send_message', arguments: { agent, message } })
      assert.ok(!result.isError, JSON.stringify(result.content))
      return JSON.stringify(result.content)
    },
    async kill() {
      if (transport.pid) process.kill(transport.pid, 'SIGKILL')
      await client.close()
    },
  }
}

async function story(modelHandle: string, provider: NodeJS.ProcessEnv): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'loci-story-'))
  const env = {
    ...process.env,
    OPENAI_API_KEY: undefined,
    OPENAI_BASE_URL: undefined,
    OLLAMA_BASE_URL: 'http://127.0.0.1:1',
    LMSTUDIO_BASE_URL: 'http://127.0.0.1:1',
    ...provider,
  }
  let server = await npmStart(data, env)
  let letta = new Letta({ baseURL: server.url, apiKey: null })
  const agent = await letta.agents.create({
    name: 'Companion',
    model: modelHandle,
    memory_blocks: [
      { label: 'human', value: '' },
      { label: 'persona', value: 'I am a friendly companion.' },
    ],
  })
  let workbench = await openWorkbench({ vsix: VSIX, dataDirectory: data, env })
  let host = await mcpHost(data, env)
  try {
    await workbench.openLoci()
    await workbench.rows('Agents').filter({ hasText: 'Companion' }).click()
    const chat = await workbench.chat('Companion')
    const feed = new AbortController()
    const edited = firstEdit(server.url, feed.signal)
    await chat.send('My name is Ada and I live in London')
    const at = await edited
    await workbench.rows('Blocks').filter({ hasText: 'human' }).filter({ hasText: 'Ada' }).waitFor()
    console.log(`      the Blocks view showed the edit ${Date.now() - at} ms after it was committed`)
    feed.abort()
    await chat.idle()

    assert.match(await host.ask('Companion', 'Who is the user?'), /Ada/)
    const before = await everything(letta, agent.id)
    assert.match(before.human, /Ada/)
    assert.match(before.human, /London/)

    await Promise.all([server.kill(), host.kill(), workbench.kill()])

    server = await npmStart(data, env)
    letta = new Letta({ baseURL: server.url, apiKey: null })
    assert.deepEqual(await everything(letta, agent.id), before, 'all of it is still there')
    const running = await (await fetch(`${server.url}/v1/runs/?active=true`)).json()
    assert.deepEqual(running, [], 'no run was left running')
    host = await mcpHost(data, env)
    assert.match(await host.ask('Companion', 'Who is the user?'), /Ada/)
    await workbench.close()
    workbench = await openWorkbench({ vsix: VSIX, dataDirectory: data, env })
    await workbench.openLoci()
    await workbench.rows('Blocks').filter({ hasText: 'human' }).filter({ hasText: 'Ada' }).waitFor()
    await workbench.rows('Agents').filter({ hasText: 'Companion' }).click()
    const again = await workbench.chat('Companion')
    await again.frame.locator('article.user').filter({ hasText: 'My name is Ada' }).waitFor()
  } finally {
    await Promise.allSettled([server.kill(), host.kill()])
    await workbench.close()
    rmSync(data, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** When the first change of a block was told by the server. */
async function firstEdit(url: string, signal: AbortSignal): Promise<number> {
  for await (const item of connect({ url }).events(undefined, { signal }))
    if (item.type === 'block.updated') break
  return Date.now()
}

async function everything(letta: Letta, agent_id: string) {
  const human = await letta.agents.blocks.retrieve('human', { agent_id })
  const messages: unknown[] = []
  for await (const message of letta.agents.messages.list(agent_id, { order: 'asc' })) messages.push(message)
  const agent = await letta.agents.retrieve(agent_id, { include: ['agent.tools', 'agent.blocks'] })
  return { human: human.value, messages, name: agent.name, tools: agent.tools.map((tool) => tool.name) }
}

describe('one story through all four doors', () => {
  it('on loci/demo', () => story('loci/demo', {}))

  it('on a scripted OpenAI-compatible model', async () => {
    const knowsAda = (body: { messages: { content?: unknown }[] }) =>
      assert.match(JSON.stringify(body.messages[0]?.content), /The user is Ada, who lives in London\./)
    const answer = { text: 'You are Ada, and you live in London.' }
    const model = await startScriptedModel([
      {
        reply: {
          tool_calls: [
            {
              name: 'memory_insert',
              arguments: { label: 'human', new_string: 'The user is Ada, who lives in London.' },
            },
          ],
        },
      },
      { reply: { text: 'Nice to meet you, Ada.' } },
      { expect: knowsAda, reply: answer },
      { expect: knowsAda, reply: answer },
    ])
    try {
      await story('openai/test-model', { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: model.url })
      await model.done()
    } finally {
      await model.close()
    }
  })
})

import assert from 'node:assert/strict'
import Letta from '@letta-ai/letta-client'
import { cleanEnvironment, LOCI, type Running, start, temporaryFolder } from '../support/cli-process.ts'
import { type Host, HOSTS } from '../support/mcp-hosts.ts'

/** What each of the three writers adds. */
const LINES = 334

describe('two MCP hosts and a REST client on one data directory', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let server: Running
  let letta: Letta
  const hosts: Host[] = []

  before(async () => {
    folder = await temporaryFolder()
    const env = cleanEnvironment(folder.path)
    server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    const [baseURL = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
    letta = new Letta({ baseURL, apiKey: null, maxRetries: 0 })
    // Two processes of their own: one by each client, over stdio.
    for (const [, connect] of HOSTS.slice(0, 2)) hosts.push(await connect([], env))
  })
  after(async () => {
    for (const host of hosts) await host.close()
    await server?.stop()
    await folder.remove()
  })

  it('write the same block a thousand times, and nothing is lost', async function () {
    this.timeout(120_000)
    const agent = await letta.agents.create({
      name: 'Shared',
      model: 'loci/demo',
      memory_blocks: [{ label: 'log', value: '' }],
    })
    const block_id = String(agent.blocks[0]?.id)
    const byHost = async (host: Host, name: string) => {
      for (let n = 0; n < LINES; n++) {
        const text = `${name} ${n}`
        const answer = await host.call('memory_edit', { agent: 'Shared', label: 'log', mode: 'append', text })
        assert.equal(answer.isError, false, answer.text)
      }
    }
    const byRest = async () => {
      for (let n = 0; n < LINES; n++) {
        for (let written = false; !written;) {
          const { data, response } = await letta.blocks.retrieve(block_id).withResponse()
          const value = `${data.value}${data.value === '' ? '' : '\n'}rest ${n}`
          const headers = { 'if-match': response.headers.get('etag') ?? '' }
          written = await letta.blocks.update(block_id, { value }, { headers }).then(
            () => true,
            (error: { status?: number }) => {
              if (error.status !== 409) throw error
              return false
            },
          )
        }
      }
    }
    await Promise.all([byHost(hosts[0]!, 'one'), byHost(hosts[1]!, 'two'), byRest()])
    const { value } = await letta.blocks.retrieve(block_id)
    const written = value.split('\n')
    for (const name of ['one', 'two', 'rest'])
      assert.deepEqual(
        written.filter((line) => line.startsWith(`${name} `)),
        Array.from({ length: LINES }, (_, n) => `${name} ${n}`),
      )
    assert.equal(written.length, 3 * LINES)
  })
})

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openInProcess } from '../../shared/client/in-process.ts'
import { loci } from '../support/cli-process.ts'
import type { Host } from '../support/mcp-hosts.ts'
import { describeHosts } from '../support/mcp-suite.ts'

const SOURCE = `/**
 * Doubles a number.
 *
 * @param n - The number.
 */
export function double(n: number) {
  console.log('doubling', n)
  return n * 2
}
`

describeHosts('the opt-in toolsets', (suite, transport) => {
  const call = async (host: Host, name: string, args: Record<string, unknown>) => {
    const answer = await host.call(name, args)
    assert.equal(answer.isError, false, answer.text)
    return answer
  }
  const refused = async (host: Host, name: string, args: Record<string, unknown>, words: RegExp) => {
    const answer = await host.call(name, args)
    assert.equal(answer.isError, true, answer.text)
    assert.match(answer.text, words)
  }

  before(async () => {
    for (const name of ['Ada', 'Eve'])
      await call(suite.host, 'agent_create', { name, model: 'loci/demo', human: `Of ${name}.` })
  })

  it('are there when they are named, and alone when default is not', async () => {
    const names = async (toolsets: string) =>
      (await (await suite.connect(['--toolsets', toolsets])).tools()).map(({ name }) => name)
    const authoring = ['tool_list', 'tool_get', 'tool_upsert', 'tool_test', 'tool_attach']
    const admin = ['agent_export', 'agent_import', 'memory_share', 'archival_delete']
    assert.deepEqual(await names('authoring'), authoring)
    assert.deepEqual(await names('admin,authoring'), [...authoring, ...admin])
    assert.equal((await names('all')).length, 16 + authoring.length + admin.length)
    const unknown = await loci(['mcp', '--toolsets', 'autoring'], { env: suite.env })
    assert.equal(unknown.code, 1)
    assert.match(unknown.stderr, /no toolset 'autoring'. Did you mean 'authoring'\?/)
  })

  it('make a tool from source, try it and give it to an agent', async function () {
    this.timeout(120_000)
    const host = await suite.connect(['--toolsets', 'default,authoring'])
    await refused(host, 'tool_upsert', { source_code: 'export const x = ' }, /Nothing was stored\.\n.*line 1/)
    const tried = await call(host, 'tool_test', { source_code: SOURCE, args: { n: 21 } })
    assert.match(tried.text, /42[^]*printed:\ndoubling 21/)
    const failing = SOURCE.replace('return n * 2', `throw new Error('no luck')`)
    await refused(host, 'tool_test', { source_code: failing, args: { n: 1 } }, /no luck/)
    await refused(host, 'tool_test', { args: {} }, /either tool or source_code/)
    const endless = SOURCE.replace('return n * 2', 'for (;;) n++')
    await refused(
      host,
      'tool_test',
      { source_code: endless, args: { n: 1 }, wait_seconds: 3 },
      /^The tool did not end within 3 s and was stopped/,
    )
    const stored = await call(host, 'tool_upsert', { source_code: SOURCE, requires_approval: true })
    assert.match(stored.text, /^Stored double \(tool-/)
    assert.equal(stored.structured?.['name'], 'double')
    assert.match(
      (await call(host, 'tool_list', { own: true })).text,
      /^- double · custom · Doubles a number\.$/m,
    )
    const shown = (await call(host, 'tool_get', { tool: 'double' })).text
    assert.match(shown, /"n":\{[^]*wait for approval[^]*export function double/)
    assert.match((await call(host, 'tool_test', { tool: 'double', args: { n: 4 } })).text, /8/)
    await refused(host, 'tool_attach', { agent: 'Ada', tool: 'duoble' }, /Did you mean 'double'/)
    await call(host, 'tool_attach', { agent: 'Ada', tool: 'double' })
    assert.match((await call(host, 'agent_get', { agent: 'Ada' })).text, /tools: .*double/)
    await call(host, 'tool_attach', { agent: 'Ada', tool: 'double', detach: true })
    assert.doesNotMatch((await call(host, 'agent_get', { agent: 'Ada' })).text, /double/)
  })

  it('export and import an agent, share a block and delete a passage', async () => {
    const host = await suite.connect(['--toolsets', 'default,admin'])
    const file = (await call(host, 'agent_export', { agent: 'Ada', messages: false })).text
    assert.ok(Array.isArray((JSON.parse(file) as { agents: unknown }).agents))
    const imported = await call(host, 'agent_import', { json: file, name: 'Ada again' })
    assert.match(imported.text, /^Imported Ada again \(agent-[^)]+\)\./)
    await refused(
      host,
      'agent_import',
      { json: file },
      /an agent 'Ada' already \(agent-[^)]+\), and nothing was/,
    )
    assert.equal((await call(host, 'memory_read', { agent: 'Ada again', label: 'human' })).text, 'Of Ada.')
    await refused(host, 'agent_import', { json: 'nonsense' }, /JSON|agent file/i)
    const path = join(suite.folder, 'ada.af')
    if (transport === 'HTTP')
      await refused(host, 'agent_export', { agent: 'Ada', path }, /out of reach over HTTP/)
    else {
      await call(host, 'agent_export', { agent: 'Ada', path })
      assert.match(await readFile(path, 'utf8'), /^\{/)
      await refused(
        host,
        'agent_export',
        { agent: 'Ada', path },
        /ada\.af was not written: there is a file of that name already\.$/,
      )
      const lost = join(suite.folder, 'no', 'ada.af')
      await refused(host, 'agent_export', { agent: 'Ada', path: lost }, /its folder does not exist\.$/)
      await refused(host, 'agent_import', { path: lost }, /cannot be read: there is no such file\.$/)
      assert.match(
        (await call(host, 'agent_import', { path, name: 'From file' })).text,
        /^Imported From file \(/,
      )
    }
    const block = { agent: 'Ada again', label: 'human' }
    await refused(host, 'memory_share', { ...block, label: 'x', with_agent: 'Eve' }, /no memory block 'x'/)
    const client = await openInProcess({ data: suite.env['LOCI_HOME'], env: suite.env })
    try {
      await client.letta.agents.create({ name: 'Bare', model: 'loci/demo', memory_blocks: [] })
    } finally {
      await client.close()
    }
    await call(host, 'memory_share', { ...block, with_agent: 'Bare' })
    await call(host, 'memory_edit', { agent: 'Bare', label: 'human', mode: 'set', text: 'Shared.' })
    assert.equal((await call(host, 'memory_read', block)).text, 'Shared.')
    await refused(
      host,
      'memory_share',
      { ...block, with_agent: 'Eve' },
      /^Eve has a block 'human' of its own\. With replace: true .*Ada again.*block-[^,]+, 7 characters/,
    )
    const own = await call(host, 'memory_share', { ...block, with_agent: 'Eve', replace: true })
    assert.match(own.text, /What Eve had there is kept as block-/)
    assert.equal((await call(host, 'memory_read', { agent: 'Eve', label: 'human' })).text, 'Shared.')
    assert.match((await call(host, 'memory_share', { ...block, with_agent: 'Eve' })).text, /share the block/)
    await call(host, 'archival_insert', { agent: 'Eve', text: 'Wrong.' })
    const found = (await call(host, 'archival_search', { agent: 'Eve', query: 'wrong', detail: 'full' })).text
    const passage_id = /passage-[0-9a-f-]+/.exec(found)?.[0]
    await call(host, 'archival_delete', { agent: 'Eve', passage_id })
    assert.match((await call(host, 'archival_search', { agent: 'Eve' })).text, /has no passages/)
    await refused(host, 'archival_delete', { agent: 'Eve', passage_id }, /not found/i)
  })
})

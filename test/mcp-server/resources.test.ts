import assert from 'node:assert/strict'
import { type LociClient } from '../../shared/client/http.ts'
import { openInProcess } from '../../shared/client/in-process.ts'
import { withDeadline } from '../support/cli-process.ts'
import { eventually } from '../support/loci.ts'
import { describeHosts } from '../support/mcp-suite.ts'

describeHosts('resources and prompts', (suite) => {
  /** Another process on the same directory, as far as the server can tell. */
  let other: LociClient
  let id: string

  before(async () => {
    other = await openInProcess({ data: suite.env['LOCI_HOME'], env: suite.env })
    const agent = await other.letta.agents.create({
      name: 'Grace Hopper',
      model: 'loci/demo',
      memory_blocks: [
        { label: 'human', value: 'Likes ships.' },
        { label: 'persona', value: 'Exact.' },
      ],
    })
    id = agent.id
  })
  after(() => other?.close())

  it('lists agents and their memory, and has a template for everything', async () => {
    const listed = await suite.host.resources()
    assert.deepEqual(listed.map(({ uri, name }) => [name, uri]).sort(), [
      ['Grace Hopper', `agent://${id}`],
      ['Grace Hopper: human', `agent://${id}/memory/human`],
      ['Grace Hopper: persona', `agent://${id}/memory/persona`],
      ['Memory viewer', 'ui://loci/memory'],
    ])
    assert.deepEqual(await suite.host.templates(), [
      'agent://{agent}',
      'agent://{agent}/memory/{label}',
      'agent://{agent}/conversations/{conversation}',
      'agent://{agent}/files/{file}',
    ])
  })

  it('reads an agent, a block, a conversation and a file, by id and by name', async () => {
    for (const agent of [id, 'Grace%20Hopper']) {
      assert.match(await suite.host.read(`agent://${agent}`), /^Grace Hopper \(agent-[^]*memory: /)
      assert.equal(await suite.host.read(`agent://${agent}/memory/human`), 'Likes ships.')
    }
    assert.equal(await suite.host.read(`agent://${id}/conversations/default`), '(Nothing was said yet.)')
    await suite.host.call('agent_send_message', { agent: id, message: 'What do you know about me?' })
    assert.match(
      await suite.host.read(`agent://${id}/conversations/default`),
      /user: What do you know about me\?\n\n\[.*\] Grace Hopper: ./,
    )
    const text = 'COBOL is fine.'
    const attached = await suite.host.call('file_attach', { agent: id, name: 'notes.txt', text })
    const [uri = ''] = /agent:\/\/\S+\/files\/[\w-]+/.exec(attached.text) ?? []
    assert.equal(await suite.host.read(uri), text)
  })

  it('says of a wrong URI what is near', async () => {
    for (const [uri, words] of [
      ['agent://Grace%20Hoper', /Did you mean 'Grace Hopper'/],
      [`agent://${id}/memory/humen`, /Did you mean 'human'/],
      [`agent://${id}/conversations/conv-1`, /no conversation 'conv-1'/],
      [`agent://${id}/files/file-1`, /no file 'file-1'/],
      ['agent://a/b/c/d', /not found/i],
      ['http://example.com', /not found/i],
    ] as const)
      await assert.rejects(suite.host.read(uri), words, uri)
    if (suite.host.protocol === '2025-11-25')
      await assert.rejects(
        suite.host.subscribe('agent://Grace%20Hoper/memory/human', () => undefined),
        /Did you mean 'Grace Hopper'/,
      )
  })

  it('tells within a second of a block that another process has changed', async () => {
    const changed = Promise.withResolvers<string>()
    const uri = `agent://${id}/memory/human`
    await suite.host.subscribe(uri, changed.resolve)
    // The server follows changes from about now on; an earlier one would have been read already.
    let n = 0
    const heard = await eventually('a change', async () => {
      await other.letta.agents.blocks.update('human', { agent_id: id, value: `Likes ships ${n++}.` })
      const late = new Promise<null>((resolve) => setTimeout(resolve, 100, null))
      return Promise.race([changed.promise, late])
    })
    assert.equal(heard, uri)
    assert.match(await suite.host.read(uri), /^Likes ships \d+\.$/)
    const again = Promise.withResolvers<string>()
    await suite.host.subscribe('agent://Grace%20Hopper/memory/persona', again.resolve)
    const at = performance.now()
    await other.letta.agents.blocks.update('persona', { agent_id: id, value: 'Very exact.' })
    await withDeadline(again.promise, 'the second change')
    console.log(`      heard of it after ${Math.round(performance.now() - at)} ms`)
  })

  it('completes names, labels and conversations', async () => {
    assert.deepEqual(
      await suite.host.complete({ template: 'agent://{agent}' }, { name: 'agent', value: 'hop' }),
      ['Grace Hopper'],
    )
    const context = { agent: 'Grace Hopper' }
    const label = { name: 'label', value: 'per' }
    const memory = { template: 'agent://{agent}/memory/{label}' }
    assert.deepEqual(await suite.host.complete(memory, label, context), ['persona'])
    assert.deepEqual(await suite.host.complete(memory, label, { agent: 'Nobody' }), [])
    assert.deepEqual(
      await suite.host.complete(
        { template: 'agent://{agent}/conversations/{conversation}' },
        { name: 'conversation', value: '' },
        context,
      ),
      ['default'],
    )
    assert.deepEqual(
      await suite.host.complete({ prompt: 'chat_with_agent' }, { name: 'agent', value: 'gr' }),
      ['Grace Hopper'],
    )
  })

  it('has prompts that name the agent as it is called', async () => {
    assert.deepEqual(
      (await suite.host.prompts()).map(({ name, arguments: args }) => [name, args?.map((one) => one.name)]),
      [
        ['chat_with_agent', ['agent', 'message']],
        ['new_agent', ['purpose', 'name']],
        ['remember_this', ['agent', 'what']],
        ['review_memory', ['agent']],
      ],
    )
    const chat = await suite.host.prompt('chat_with_agent', { agent: id, message: 'Ahoy' })
    assert.match(chat, /"Grace Hopper"[^]*agent_send_message[^]*Begin with: Ahoy/)
    assert.match(await suite.host.prompt('new_agent', { purpose: 'sums' }), /for this: sums[^]*agent_create/)
    const remember = await suite.host.prompt('remember_this', { agent: id, what: 'the sea' })
    assert.match(remember, /the sea[^]*memory_edit/)
    assert.match(await suite.host.prompt('review_memory', { agent: id }), /"Grace Hopper"[^]*memory_read/)
    await assert.rejects(
      suite.host.prompt('review_memory', { agent: 'Grace' }),
      /Did you mean 'Grace Hopper'/,
    )
    await assert.rejects(suite.host.prompt('review_memory', {}), /agent/)
    await assert.rejects(suite.host.prompt('review_memmory', { agent: id }), /review_memmory/)
  })

  it('shows the memory as an app where the host can, with data that no other host is sent', async () => {
    const page = await suite.host.read('ui://loci/memory')
    assert.match(page, /^<!doctype html>/)
    // It loads nothing.
    assert.doesNotMatch(page, /(src|href)=|https?:|import\(|fetch\(/)
    const tool = (await suite.host.tools()).find(({ name }) => name === 'memory_read') as { _meta?: unknown }
    assert.deepEqual(tool._meta, { ui: { resourceUri: 'ui://loci/memory' } })
    assert.equal((await suite.host.call('memory_read', { agent: id })).structured, undefined)
    const shows = await suite.connect([], { apps: true })
    const { structured } = await shows.call('memory_read', { agent: id })
    assert.deepEqual(structured?.['agent'], { id, name: 'Grace Hopper' })
    const blocks = structured?.['blocks'] as { label: string; value: string }[]
    assert.deepEqual(blocks.map(({ label }) => label).sort(), ['human', 'persona'])
  })

  it('shows an icon of its own', async () => {
    const { icons } = suite.host.serverInfo() as { icons?: { src: string; mimeType?: string }[] }
    assert.match(icons?.[0]?.src ?? '', /^data:image\/svg\+xml,/)
  })
})

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fails, openWindow, says, scriptedEditor, type ScriptedEditor } from '../support/editor-models.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'

const HANDLE = 'vscode/copilot/gpt-4o'

describe('models of an editor', () => {
  let data: string
  let t: TestLoci
  let other: TestLoci
  let editor: ScriptedEditor
  const open: { close(): Promise<void> }[] = []
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-editors-'))
    t = await startLoci({ data })
    other = await startLoci({ data })
    editor = scriptedEditor()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((window) => window.close()))
    await Promise.all([t.close(), other.close()])
    assert.deepEqual([...t.failures, ...other.failures], [])
    await rm(data, { recursive: true, force: true })
  })

  /** A window that offers its models to the server. */
  const offer = async (models: ScriptedEditor = editor) => {
    const window = await openWindow(models)
    open.push(window)
    const { status, body } = await t.http('PUT', `/v1/editors/${window.id}`, window.body)
    assert.equal(status, 200, JSON.stringify(body))
    return window
  }
  const say = async (loci: TestLoci, agent_id: string) => {
    const { messages } = await loci.letta.agents.messages.create(agent_id, { input: 'Hi' })
    const last = messages.findLast(({ message_type }) => message_type === 'assistant_message')
    return (last as { content?: unknown } | undefined)?.content
  }
  const refusedBy = async (loci: TestLoci, agent_id: string) => {
    const { body } = await loci.http('POST', `/v1/agents/${agent_id}/messages`, { input: 'Hi' })
    return JSON.stringify(body)
  }
  const handles = async (loci: TestLoci) => (await loci.letta.models.list()).map(({ handle }) => handle)

  it('are models of every instance while their window is open', async () => {
    const window = await offer()
    for (const loci of [t, other]) {
      assert.ok((await handles(loci)).includes(HANDLE))
      const agent = await loci.letta.agents.create({ model: HANDLE })
      assert.equal(agent.llm_config?.context_window, 64_000)
      editor.next.push(says('Hello.'))
      assert.equal(await say(loci, agent.id), 'Hello.')
    }
    const { status } = await t.http('DELETE', `/v1/editors/${window.id}`)
    assert.equal(status, 204)
    for (const loci of [t, other]) assert.deepEqual(await handles(loci), ['loci/demo'])
  })

  it('take a whole turn with tools', async () => {
    await offer()
    const agent = await other.letta.agents.create({
      model: HANDLE,
      memory_blocks: [{ label: 'human', value: 'Nothing yet.' }],
    })
    editor.next.push(
      says({
        type: 'tool_call',
        id: 'call-1',
        name: 'memory_insert',
        input: { label: 'human', new_string: 'Name: Ada.' },
      }),
      says('Noted.'),
    )
    assert.equal(await say(other, agent.id), 'Noted.')
    const block = await other.letta.agents.blocks.retrieve('human', { agent_id: agent.id })
    assert.match(block.value, /Name: Ada\./)
    const last = editor.requests[1]?.messages.at(-1)?.parts[0]
    assert.ok(last?.type === 'tool_result' && last.id === 'call-1')
  })

  it('are nobody’s default', async () => {
    await offer()
    const agent = await t.letta.agents.create({})
    assert.equal(agent.model, 'loci/demo')
  })

  it('are taken over by another window when theirs closes, also one that ends without a word', async () => {
    const spare = scriptedEditor()
    await offer(spare)
    const used = await offer()
    const agent = await t.letta.agents.create({ model: HANDLE })
    editor.next.push(says('From the newer.'))
    assert.equal(await say(t, agent.id), 'From the newer.')
    await used.close()
    spare.next.push(says('From the other.'))
    assert.equal(await say(t, agent.id), 'From the other.')
    assert.equal((await readdir(join(data, 'editors'))).length, 1, 'the window that ended is forgotten')
  })

  it('are not taken from a window by a newer one', async () => {
    await offer()
    const agent = await t.letta.agents.create({ model: HANDLE })
    editor.next.push(says('one'), says('two'))
    await say(t, agent.id)
    await offer(scriptedEditor())
    assert.equal(await say(t, agent.id), 'two')
  })

  it('are missed with a sentence when no window is open', async () => {
    const window = await offer()
    const agent = await t.letta.agents.create({ model: HANDLE })
    await window.close()
    const said = await refusedBy(t, agent.id)
    assert.match(said, /No editor window offers 'vscode\/copilot\/gpt-4o' now/)
    await offer()
    editor.next.push(says('Back.'))
    assert.equal(await say(t, agent.id), 'Back.')
  })

  it('say what the editor says when it refuses', async () => {
    await offer()
    const agent = await t.letta.agents.create({ model: HANDLE })
    editor.next.push(fails('Blocked', 'Quota exceeded'))
    const quota = await refusedBy(t, agent.id)
    assert.match(quota, /429: gpt-4o is at its limit \(Quota exceeded\.\)/)
    assert.equal(editor.requests.length, 1, 'it is not asked again')
    editor.access = 'unasked'
    const consent = await refusedBy(t, agent.id)
    assert.match(consent, /VS Code has to ask you before Loci may use gpt-4o/)
    assert.doesNotMatch(consent, /key of provider/)
  })

  it('are no agents of Loci', async () => {
    await offer()
    const { body } = await t.http('POST', '/v1/agents', { model: 'vscode/loci/agent-1' })
    assert.match(JSON.stringify(body), /would ask itself without end/)
  })

  it('are others as soon as the window says so', async () => {
    const window = await offer()
    assert.ok((await handles(t)).includes(HANDLE))
    editor.handles = ['copilot/new']
    await t.http('PUT', `/v1/editors/${window.id}`, { ...window.body, revision: '2' })
    for (const loci of [t, other]) assert.deepEqual(await handles(loci), ['vscode/copilot/new', 'loci/demo'])
  })

  it('are kept where only this user reads, and no other program is taken for a window', async () => {
    const window = await offer()
    const file = join(data, 'editors', `${window.id}.json`)
    assert.equal((await stat(file)).mode & 0o077, 0)
    const asked: (string | undefined)[] = []
    const stranger = createServer((request, response) => {
      asked.push(request.url)
      response.end('hello')
    })
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve))
    open.push({ close: () => new Promise((resolve) => stranger.close(() => resolve())) })
    const { port } = stranger.address() as AddressInfo
    const id = `editor-${crypto.randomUUID()}`
    await t.http('PUT', `/v1/editors/${id}`, { ...window.body, base_url: `http://127.0.0.1:${port}/v1` })
    const { body } = await t.http('GET', '/v1/editors')
    assert.deepEqual(
      (body as { id: string }[]).map((editor) => editor.id),
      [window.id],
    )
    assert.ok(!JSON.stringify(body).includes(window.token))
    assert.ok(asked.every((url) => url === '/v1/window'))
  })

  it('are refused from another machine, and without a key', async () => {
    const put = async (body: object, id = `editor-${crypto.randomUUID()}`) =>
      (await t.http('PUT', `/v1/editors/${id}`, body)).status
    const good = { base_url: 'http://127.0.0.1:1/v1', api_key: 'x'.repeat(40) }
    assert.equal(await put({ ...good, base_url: 'http://example.com/v1' }), 422)
    assert.equal(await put({ ...good, base_url: 'https://127.0.0.1/v1' }), 422)
    assert.equal(await put({ ...good, api_key: '' }), 422)
    assert.equal(await put(good, 'editor-..'), 422)
    assert.equal((await t.http('DELETE', `/v1/editors/editor-${crypto.randomUUID()}`)).status, 404)
  })
})

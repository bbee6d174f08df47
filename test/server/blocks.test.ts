import assert from 'node:assert/strict'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

interface Version {
  version: number
  before: string | null
  after: string
  agent_id: string | null
  run_id: string | null
}

describe('blocks over the official client', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLoci((started) => ({ t, model } = started))

  const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(t.url + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const json = async (response: Response) => (await response.json()) as Record<string, unknown>

  it('have a history of every change, by whom, and any version can be restored', async () => {
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'Ada' }],
    })
    model.add(
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'in London' } }],
        },
      },
      { reply: { text: 'ok' } },
    )
    await t.letta.agents.messages.create(agent.id, { input: 'go' })
    const { id } = await t.letta.agents.blocks.update('human', { agent_id: agent.id, value: 'Ada of Paris' })
    const history = async (query = '') =>
      (await (await send('GET', `/v1/blocks/${id}/history${query}`)).json()) as Version[]
    const [run] = (await t.letta.runs.list({ agent_id: agent.id })).items
    assert.deepEqual(
      (await history()).map((v) => [v.version, v.before, v.after, v.agent_id, v.run_id]),
      [
        [3, 'Ada\nin London', 'Ada of Paris', null, null],
        [2, 'Ada', 'Ada\nin London', agent.id, run?.id],
        [1, null, 'Ada', null, null],
      ],
    )
    const second = await history('?limit=1&after=3')
    assert.deepEqual(
      second.map((v) => v.version),
      [2],
    )
    assert.deepEqual(await history('?after=1'), [])

    const restored = await send('POST', `/v1/blocks/${id}/history/2/restore`)
    assert.equal(restored.headers.get('etag'), '"4"')
    assert.equal((await json(restored))['value'], 'Ada\nin London')
    assert.equal((await t.letta.blocks.retrieve(id)).value, 'Ada\nin London')
    assert.equal((await history())[0]?.version, 4)

    for (const [method, path, status] of [
      ['POST', `/v1/blocks/${id}/history/99/restore`, 404],
      ['POST', `/v1/blocks/${id}/history/x/restore`, 422],
      ['GET', `/v1/blocks/${id}/history?after=99`, 404],
      ['GET', `/v1/blocks/${id.slice(0, -4)}0000/history`, 404],
      ['GET', '/v1/blocks/agent-1/history', 422],
    ] as const)
      assert.equal((await send(method, path)).status, status, path)
  })

  it('refuse a change of a stale version with 409 and the block as it is', async () => {
    const { id } = await t.letta.blocks.create({ label: 'plan', value: 'a' })
    const read = await send('GET', `/v1/blocks/${id}`)
    assert.equal(read.headers.get('etag'), '"1"')
    for (const [i, tag] of ['1', '"2"', 'W/"3"', '*'].entries()) {
      const changed = await send('PATCH', `/v1/blocks/${id}`, { value: `v${i}` }, { 'if-match': tag })
      assert.equal(changed.status, 200, tag)
      assert.equal(changed.headers.get('etag'), `"${i + 2}"`)
    }
    const stale = await send('PATCH', `/v1/blocks/${id}`, { value: 'lost' }, { 'if-match': '"2"' })
    assert.equal(stale.status, 409)
    assert.equal(stale.headers.get('x-should-retry'), 'false')
    const { detail, block } = await json(stale)
    assert.match(String(detail), /'plan' is at version 5, not 2.*changed meanwhile/)
    assert.deepEqual(block, await json(await send('GET', `/v1/blocks/${id}`)))
    const restore = await send('POST', `/v1/blocks/${id}/history/1/restore`, undefined, { 'if-match': '2' })
    assert.equal(restore.status, 409)
    const wrong = await send('PATCH', `/v1/blocks/${id}`, { value: 'x' }, { 'if-match': '"abc"' })
    assert.equal(wrong.status, 400)
    assert.match(String((await json(wrong))['detail']), /If-Match is "abc"/)
    const empty = await send('PATCH', `/v1/blocks/${id}`, { value: 'x' }, { 'if-match': '' })
    assert.equal(empty.status, 400, 'not an unconditional change')
    assert.equal((await t.letta.blocks.retrieve(id)).value, 'v3')
  })

  it('are read and changed by labels of any characters', async () => {
    const labels = ['a/b', '100%', '%2F', '🧠 notes', 'a b', 'x?y#z', '東京', 'a//b', '%']
    const agent = await t.letta.agents.create({
      model: SCRIPTED,
      memory_blocks: labels.map((label) => ({ label, value: `of ${label}`, tags: [label] })),
    })
    const listed = await t.letta.agents.blocks.list(agent.id, { order: 'asc' })
    assert.deepEqual(
      listed.items.map((block) => block.label),
      labels,
      'in the order in which they were given',
    )
    for (const label of labels) {
      const block = await t.letta.agents.blocks.retrieve(label, { agent_id: agent.id })
      assert.equal(block.value, `of ${label}`)
      await t.letta.agents.blocks.update(label, { agent_id: agent.id, value: 'new' })
      const path = `/v1/agents/${agent.id}/core-memory/blocks/${encodeURIComponent(label)}`
      const stale = await send('PATCH', path, { value: 'x' }, { 'if-match': '1' })
      assert.equal(stale.status, 409, label)
      assert.equal((await send('GET', path)).headers.get('etag'), '"2"')
      const tagged = await t.letta.blocks.list({ label, tags: [label] })
      assert.equal(tagged.items.length, 1, label)
    }
    const none = `/v1/agents/${agent.id}/core-memory/blocks/nobody%00`
    assert.equal((await send('GET', none)).status, 404)
    const withNul = `/v1/agents/${agent.id}/core-memory/blocks/a%00%20b`
    assert.equal((await send('GET', withNul)).status, 200, 'NUL is left out of paths as it is of bodies')
    assert.equal((await send('PATCH', withNul, { value: 'by path' })).status, 200)
  })

  it('are stored without NUL, and never without a label', async () => {
    const made = { label: 'a\0b', value: 'x\0y', description: 'd\0', tags: ['t\0'] }
    const block = await t.letta.blocks.create(made)
    assert.deepEqual([block.label, block.value, block.description, block.tags], ['ab', 'xy', 'd', ['t']])
    assert.deepEqual(await t.letta.blocks.retrieve(block.id), block)
    assert.equal((await t.letta.blocks.update(block.id, { value: '\0z' })).value, 'z')
    for (const label of ['\0', ' ', '.', '..', 'x'.repeat(1001)]) {
      const refused = await send('POST', '/v1/blocks/', { label, value: '' })
      assert.equal(refused.status, 422, label.slice(0, 10))
      assert.match(String((await json(refused))['detail']), /^body\.label: a/)
      assert.equal((await send('PATCH', `/v1/blocks/${block.id}`, { label })).status, 422)
      const memory_blocks = [{ label, value: '' }]
      assert.equal((await send('POST', '/v1/agents/', { model: SCRIPTED, memory_blocks })).status, 422)
    }
    assert.equal((await send('POST', '/v1/blocks/', { label: '...', value: '' })).status, 200)
  })

  it('refuse metadata too deep to be stored', async () => {
    const deep = `{"label":"a","value":"","metadata":{"x":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`
    const refused = await t.http('POST', '/v1/blocks/', deep)
    assert.equal(refused.status, 422)
  })

  it('keep a value of ten million characters', async () => {
    const value = 'ten chars '.repeat(1_000_000)
    const block = await t.letta.blocks.create({ label: 'big', value })
    assert.ok((await t.letta.blocks.retrieve(block.id)).value === value)
  })
})

import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

interface File_ {
  id: string
  source_id: string
  file_name: string
  original_file_name: string
  processing_status: string
  content: string | null
}

describe('a file by itself', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLociEach((started) => ({ t, model } = started))

  async function upload(name: string, text: string, fields: Record<string, string> = {}, query = '') {
    const form = new FormData()
    for (const [key, value] of Object.entries(fields)) form.set(key, value)
    form.set('file', new File([text], name))
    const answer = await fetch(`${t.url}/v1/files${query}`, { method: 'POST', body: form })
    return { status: answer.status, body: (await answer.json()) as File_ & { detail?: string } }
  }
  const read = (id: string) =>
    eventually(`${id} is read`, async () => {
      const { body } = await t.http('GET', `/v1/files/${id}?include_content=true`)
      return (body as File_).processing_status === 'completed' ? (body as File_) : null
    })

  it('is uploaded, read, attached to an agent, which can open it, and detached', async () => {
    const { status, body } = await upload('notes.md', 'The parrot is called Iago.', {
      description: 'On pets',
    })
    assert.equal(status, 200)
    assert.equal((await read(body.id)).content, 'The parrot is called Iago.')
    assert.equal((await t.letta.folders.retrieve(body.source_id)).description, 'On pets')
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    const attached = await t.http('PATCH', `/v1/agents/${agent.id}/files/attach/${body.id}`)
    assert.equal(attached.status, 200)
    const { tools } = attached.body as { tools: { name: string }[] }
    assert.ok(tools.some(({ name }) => name === 'open_files'))
    const again = await t.http('PATCH', `/v1/agents/${agent.id}/files/attach/${body.id}`)
    assert.equal(again.status, 200)
    const files = (await t.letta.agents.files.list(agent.id)).files
    assert.deepEqual(
      files.map(({ file_id }) => file_id),
      [body.id],
    )
    model.add({
      expect: ({ messages }) => assert.match(JSON.stringify(messages[0]), /The parrot is called Iago/),
      reply: { text: 'Iago.' },
    })
    const { messages } = await t.letta.agents.messages.create(agent.id, { input: 'What is it called?' })
    assert.equal(messages.length, 1)
    const detached = await t.http('PATCH', `/v1/agents/${agent.id}/files/detach/${body.id}`)
    assert.equal(detached.status, 200)
    assert.deepEqual((await t.letta.agents.files.list(agent.id)).files, [])
  })

  it('may have the name of another, and one that is given to it', async () => {
    const one = await upload('a.txt', 'one')
    const two = await upload('a.txt', 'two', {}, '?description=second&name=b.txt')
    const three = await upload('a.txt', 'three')
    assert.deepEqual([one.status, two.status, three.status], [200, 200, 200])
    assert.equal(two.body.original_file_name, 'b.txt')
    assert.equal(new Set([one, two, three].map(({ body }) => body.source_id)).size, 3)
    for (const { body } of [one, two, three]) await read(body.id)
  })

  it('is deleted with its folder', async () => {
    const { body } = await upload('a.txt', 'one')
    await read(body.id)
    assert.equal((await fetch(`${t.url}/v1/files/${body.id}`, { method: 'DELETE' })).status, 204)
    assert.equal((await t.http('GET', `/v1/files/${body.id}`)).status, 404)
    await assert.rejects(t.letta.folders.retrieve(body.source_id), { status: 404 })
    assert.equal((await t.http('DELETE', `/v1/files/${body.id}`)).status, 404)
  })

  it('that shares a folder with others is not attached alone, and says what to do', async () => {
    const folder = await t.letta.folders.create({ name: 'Shared' })
    const files = []
    for (const name of ['a.txt', 'b.txt'])
      files.push(await t.letta.folders.files.upload(folder.id, { file: new File(['text'], name) }))
    for (const file of files) await read(file.id ?? '')
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    const refused = await t.http('PATCH', `/v1/agents/${agent.id}/files/attach/${files[0]?.id}`)
    assert.equal(refused.status, 409)
    const { detail } = refused.body as { detail: string }
    assert.ok(detail.includes(`/v1/agents/${agent.id}/folders/attach/${folder.id}`), detail)
    assert.equal((await fetch(`${t.url}/v1/files/${files[0]?.id}`, { method: 'DELETE' })).status, 204)
    assert.equal((await t.letta.folders.retrieve(folder.id)).name, 'Shared')
  })

  it('is refused where nothing can come of it', async () => {
    const json = await t.http('POST', '/v1/files', { file: 'text' })
    assert.equal(json.status, 415)
    const empty = await fetch(`${t.url}/v1/files`, { method: 'POST', body: new FormData() })
    assert.equal(empty.status, 400)
    await empty.text()
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    const unknown = `file-${crypto.randomUUID()}`
    assert.equal((await t.http('PATCH', `/v1/agents/${agent.id}/files/attach/${unknown}`)).status, 404)
    assert.equal((await t.http('PATCH', `/v1/agents/${agent.id}/files/attach/x`)).status, 422)
    const { body } = await upload('a.txt', 'one')
    await read(body.id)
    const nobody = `agent-${crypto.randomUUID()}`
    assert.equal((await t.http('PATCH', `/v1/agents/${nobody}/files/attach/${body.id}`)).status, 404)
    const long = await upload('a.txt', 'one', { description: 'x'.repeat(70_000) })
    assert.equal(long.status, 400)
    assert.match(long.body.detail ?? '', /too much beside the file/)
    assert.deepEqual(
      (await t.letta.folders.list()).items.map(({ name }) => name),
      ['a.txt'],
    )
  })
})

describe('health with usage', () => {
  it('says how much there is, to who asks for it', async () => {
    const t = await startLoci()
    try {
      await t.letta.agents.create({ memory_blocks: [{ label: 'persona', value: '' }] })
      const plain = (await t.http('GET', '/v1/health/')).body as object
      assert.deepEqual(Object.keys(plain).toSorted(), ['status', 'version'])
      const { body } = await t.http('GET', '/v1/health/?include=usage')
      const { usage } = body as { usage: Record<string, number> }
      const { tools, ...rest } = usage
      assert.deepEqual(rest, { agents: 1, blocks: 1, files: 0, file_bytes: 0 })
      assert.ok((tools ?? 0) > 10)
      assert.equal((await t.http('GET', '/v1/health/?include=other')).status, 422)
    } finally {
      await t.close()
    }
  })

  it('is for who has the key, however it is asked for; health itself is for everybody', async () => {
    const t = await startLoci({ serve: { key: 'sesame' } })
    try {
      const status = async (path: string, headers = {}) => {
        const answer = await fetch(t.url + path, { headers })
        await answer.text()
        return answer.status
      }
      assert.equal(await status('/v1/health/?probe=1'), 200)
      for (const query of ['include=usage', 'a=1&include=usage', '%69nclude=usage', 'include=%75sage'])
        assert.equal(await status(`/v1/health/?${query}`), 401, query)
      assert.equal(await status('/v1/health/?include=usage', { authorization: 'Bearer sesame' }), 200)
    } finally {
      await t.close()
    }
  })
})

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { type ModelServer, type Route, startModelServer } from '../support/model-server.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import { embeddingsAnswer } from '../support/test-embeddings.ts'

const SMALL = 'openai/embed-small'
const OTHER = 'openai/embed-other'

describe('embeddings through an OpenAI-compatible provider', () => {
  let t: TestLoci
  let server: ModelServer
  let answer: (body: Record<string, unknown>) => Route
  const good = (body: Record<string, unknown>): Route => ({ json: embeddingsAnswer(body) })
  before(async () => {
    server = await startModelServer({
      'GET /v1/models': { json: { data: [{ id: 'chat' }, { id: 'embed-small' }, { id: 'embed-other' }] } },
      'POST /v1/embeddings': (body) => answer(body),
    })
    t = await startLoci({ model_url: `${server.url}/v1` })
  })
  beforeEach(() => {
    answer = good
  })
  after(async () => {
    assert.deepEqual(t.failures, [])
    await t.close()
    await server.close()
  })

  const newArchive = (embedding = SMALL) => t.letta.archives.create({ name: 'Animals', embedding })
  const add = (id: string, ...texts: string[]) =>
    t.letta.archives.passages.createMany(id, { passages: texts.map((text) => ({ text })) })
  const statusOf = async (id: string) =>
    (await t.letta.archives.retrieve(id)).metadata?.['embedding'] as { status: string; error: string | null }
  const settled = (id: string, status: string) =>
    eventually(`archive is ${status}`, async () => {
      const now = await statusOf(id)
      return now.status === status ? now : null
    })
  const search = async (archive_id: string, query: string) => {
    const found = await t.letta.passages.search({ archive_id, query })
    return { text: found[0]?.passage.text, mode: found[0]?.metadata?.['search_mode'] }
  }

  it('are listed with what V1 says of them', async () => {
    const [small] = await t.letta.models.embeddings.list()
    assert.deepEqual(
      [small?.handle, small?.name, small?.model_type, small?.provider_type, small?.embedding_endpoint_type],
      [SMALL, 'embed-small', 'embedding', 'openai', 'openai'],
    )
  })

  it('find what words do not, and the answer says how', async () => {
    const archive = await newArchive()
    assert.equal(archive.embedding_config?.handle, SMALL)
    await add(archive.id, 'Elephants never forget.', 'Bicycles have two wheels.')
    await settled(archive.id, 'completed')
    assert.deepEqual(await search(archive.id, 'elefants'), {
      text: 'Elephants never forget.',
      mode: 'hybrid',
    })
    const { embedding_config } = await t.letta.archives.retrieve(archive.id)
    assert.equal(embedding_config?.embedding_dim, 256, 'as long as the vectors are')
  })

  it('never keep a passage from being stored, and are made when the provider is back', async () => {
    const archive = await newArchive()
    answer = () => ({ status: 401, body: { error: { message: 'no such key' } } })
    await add(archive.id, 'Elephants never forget.')
    const { error } = await settled(archive.id, 'error')
    assert.match(error ?? '', /openai at .*embeddings answered 401/)
    assert.deepEqual(await search(archive.id, 'elephant'), { text: 'Elephants never forget.', mode: 'fts' })
    answer = good
    await settled(archive.id, 'completed')
    assert.equal((await search(archive.id, 'elefant')).mode, 'hybrid')
  })

  it('leave a search to the words while the provider does not answer it', async () => {
    const archive = await newArchive()
    await add(archive.id, 'Elephants never forget.')
    await settled(archive.id, 'completed')
    answer = () => ({ status: 401 })
    assert.deepEqual(await search(archive.id, 'elephant'), { text: 'Elephants never forget.', mode: 'fts' })
  })

  it('are refused when there are fewer than asked, and when they change their length', async () => {
    const archive = await newArchive()
    answer = (body) => {
      const { data, ...rest } = embeddingsAnswer(body)
      return { json: { ...rest, data: data.slice(1) } }
    }
    await add(archive.id, 'one elephant', 'two elephants')
    assert.match((await settled(archive.id, 'error')).error ?? '', /answered 1 vectors for 2 texts/)
    answer = good
    await settled(archive.id, 'completed')
    answer = (body) => ({ json: embeddingsAnswer(body, 128) })
    await add(archive.id, 'three elephants')
    assert.match((await settled(archive.id, 'error')).error ?? '', /vectors of 128 numbers.*have 256/)
    assert.equal((await search(archive.id, 'three')).text, 'three elephants')
    const { embedding_config } = await t.letta.archives.retrieve(archive.id)
    assert.equal(embedding_config?.embedding_dim, 256)
  })

  it('of a provider that is not there are told as such, from the beginning on', async () => {
    const archive = await newArchive('nobody/embed')
    const said = { model: 'nobody/embed', status: 'error' }
    for (const { metadata } of [archive, await t.letta.archives.retrieve(archive.id)]) {
      const { error, ...state } = (metadata?.['embedding'] ?? {}) as { error: string }
      assert.deepEqual(state, said)
      assert.match(error, /nobody\/embed is no embedding model that can be reached/)
    }
  })

  it('leave out one text that the provider refuses, and keep the others', async () => {
    const archive = await newArchive()
    answer = (body) =>
      (body['input'] as string[]).includes('bad') ? { status: 400, body: { error: 'too long' } } : good(body)
    await add(archive.id, 'one elephant', 'bad', 'two bicycles')
    const { error } = await settled(archive.id, 'error')
    assert.match(error ?? '', /answered 400/)
    assert.equal((await search(archive.id, 'bicicles')).text, 'two bicycles')
    assert.equal((await search(archive.id, 'bad')).text, 'bad')
  })

  it('are made anew when the model of an archive changes', async () => {
    const archive = await newArchive()
    await add(archive.id, 'one elephant')
    await settled(archive.id, 'completed')
    const models: unknown[] = []
    answer = (body) => {
      models.push(body['model'])
      return { json: embeddingsAnswer(body, 64) }
    }
    const { status } = await t.http('PATCH', `/v1/archives/${archive.id}`, { embedding: OTHER })
    assert.equal(status, 200)
    await settled(archive.id, 'completed')
    assert.deepEqual(models, ['embed-other'])
    assert.equal((await search(archive.id, 'elefant')).text, 'one elephant')
  })

  it('of an agent are those of the archive that it makes; its search uses them', async () => {
    const agent = await t.letta.agents.create({ name: 'ada', model: 'openai/chat', embedding: SMALL })
    assert.equal(agent.embedding_config?.handle, SMALL)
    await t.letta.agents.passages.create(agent.id, { text: 'Elephants never forget.' })
    const [archive] = (await t.letta.archives.list({ agent_id: agent.id })).items
    assert.equal(archive?.embedding_config?.handle, SMALL)
    await settled(archive?.id ?? '', 'completed')
    const { results } = await t.letta.agents.passages.search(agent.id, { query: 'elefant' })
    assert.equal(results[0]?.content, 'Elephants never forget.')
  })

  it('of messages are made when config.json says so, and find them by meaning', async () => {
    const data = await mkdtemp(join(tmpdir(), 'loci-embed-messages-'))
    await writeFile(join(data, 'config.json'), JSON.stringify({ embed_messages: true }))
    const model = await startScriptedModel([{ reply: { text: 'They do have good memories.' } }], {
      models: ['chat', 'embed-small'],
    })
    const own = await startLoci({
      data,
      model_url: model.url,
      env: { VLLM_API_BASE: server.url },
    })
    try {
      const agent = await own.letta.agents.create({
        name: 'ada',
        model: 'openai/chat',
        embedding: 'vllm/embed-small',
      })
      await own.letta.agents.messages.create(agent.id, { input: 'Elephants never forget.' })
      const found = await eventually('the message is found by a word that is not in it', async () => {
        const [first] = await own.letta.messages.search({ query: 'elefantz', search_mode: 'vector' })
        return first ?? null
      })
      assert.deepEqual([found.message_type, found.agent_id], ['user_message', agent.id])
      const { headers } = await own.http('POST', '/v1/messages/search', { query: 'elefantz' })
      assert.equal(headers.get('x-search-mode'), 'hybrid')
      const stored = async () => (await own.http('GET', '/v1/embeddings/total_storage_size')).body as number
      assert.ok((await stored()) > 0)
      await own.letta.agents.messages.reset(agent.id, {})
      assert.equal(await stored(), 0, 'they go with their messages')
      await own.letta.agents.delete(agent.id)
      assert.deepEqual(await own.letta.messages.search({ query: 'elefantz' }), [])
      assert.deepEqual(own.failures, [])
    } finally {
      await own.close()
      await model.close()
      await rm(data, { recursive: true, force: true })
    }
  })

  const fileIs = (folder_id: string, file_id: string, status: string) =>
    eventually(`the file is ${status}`, async () => {
      const file = await t.letta.folders.files.retrieve(file_id, { folder_id })
      return file.processing_status === status ? file : null
    })
  const aFileIn = async (folder_id: string, text: string) =>
    (await t.letta.folders.files.upload(folder_id, { file: new File([text], 'animals.txt') })).id

  it('of files are made with the model of their folder, and anew for another one', async () => {
    const folder = await t.letta.folders.create({ name: `f ${crypto.randomUUID()}`, embedding: SMALL })
    assert.deepEqual(
      [folder.embedding_config.handle, folder.embedding_config.embedding_model],
      [SMALL, 'embed-small'],
    )
    const id = await aFileIn(folder.id, 'Elephants never forget.')
    const file = await fileIs(folder.id, id, 'completed')
    assert.deepEqual([file.total_chunks, file.chunks_embedded, file.error_message], [1, 1, null])
    const models: unknown[] = []
    answer = (body) => {
      models.push(body['model'])
      return good(body)
    }
    const { status } = await t.http('PATCH', `/v1/folders/${folder.id}`, { embedding: OTHER })
    assert.equal(status, 200)
    await eventually('it is embedded anew', async () => {
      const now = await t.letta.folders.files.retrieve(id, { folder_id: folder.id })
      return models.length > 0 && now.chunks_embedded === 1 ? now : null
    })
    assert.deepEqual(models, ['embed-other'])
  })

  it('never keep a file from being completed, and it says why they are missing', async () => {
    const folder = await t.letta.folders.create({ name: `f ${crypto.randomUUID()}`, embedding: SMALL })
    answer = () => ({ status: 401, body: { error: { message: 'no such key' } } })
    const id = await aFileIn(folder.id, 'Elephants never forget.')
    const file = await fileIs(folder.id, id, 'completed')
    assert.equal(file.chunks_embedded, 0)
    assert.match(file.error_message ?? '', /found by its words so far: .*answered 401/)
    answer = good
    await eventually('it is embedded when the provider is back', async () => {
      const now = await t.letta.folders.files.retrieve(id, { folder_id: folder.id })
      return now.chunks_embedded === 1 && now.error_message === null ? now : null
    })
  })

  it('of files find parts by meaning for an agent, which reads how it was searched', async () => {
    const call = (id: string) => ({
      reply: {
        tool_calls: [{ id, name: 'semantic_search_files', arguments: { query: 'elefantz' } }],
      },
    })
    const model = await startScriptedModel(
      [call('c1'), { reply: { text: 'Yes.' } }, call('c2'), { reply: { text: 'No.' } }],
      { models: ['chat'] },
    )
    const own = await startLoci({ model_url: model.url, env: { VLLM_API_BASE: server.url } })
    try {
      const folder = await own.letta.folders.create({ name: 'zoo', embedding: 'vllm/embed-small' })
      const { id } = await own.letta.folders.files.upload(folder.id, {
        file: new File(['Elephants never forget.'], 'animals.txt'),
      })
      await eventually('the file is embedded', async () => {
        const now = await own.letta.folders.files.retrieve(id, { folder_id: folder.id })
        return now.processing_status === 'completed' && now.chunks_embedded === 1 ? now : null
      })
      const agent = await own.letta.agents.create({
        name: 'ada',
        model: 'openai/chat',
        folder_ids: [folder.id],
      })
      const ask = async () => {
        const { messages } = await own.letta.agents.messages.create(agent.id, { input: 'Elephants?' })
        const found = messages.find((message) => message.message_type === 'tool_return_message')
        return (found as { tool_return: string }).tool_return
      }
      assert.match(await ask(), /Elephants never forget\.\n\n\(searched by words and by meaning\)$/)
      answer = () => ({ status: 401 })
      assert.match(await ask(), /Nothing in your files fits.*\n\n\(searched by words alone: /)
      assert.deepEqual(own.failures, [])
    } finally {
      await own.close()
      await model.close()
    }
  })

  it('of unknown handles are refused, but for providers that are not there', async () => {
    await assert.rejects(newArchive('openai/nothing'), { status: 400 })
    await assert.rejects(newArchive('nothing'), { status: 400 })
    const archive = await newArchive('letta/letta-free')
    assert.equal(archive.embedding_config, null)
    await add(archive.id, 'one elephant')
    assert.deepEqual(await search(archive.id, 'elephant'), { text: 'one elephant', mode: 'fts' })
  })
})

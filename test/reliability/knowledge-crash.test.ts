/**
 * kill -9 of a server while it embeds, and while it imports an agent file: the next one goes on, or nothing is left.
 *
 * LOCI_SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import Letta, { APIError } from '@letta-ai/letta-client'
import { eventually } from '../support/loci.ts'
import { type ModelServer, startModelServer } from '../support/model-server.ts'
import { embeddingsAnswer } from '../support/test-embeddings.ts'
import { randomOf } from './random.ts'
import { ServerProcess } from './server-process.ts'

const SEED = Number(process.env['LOCI_SEED'] ?? Date.now() % 1_000_000)
const KILLS = 6
const MODEL = 'openai/embed-small'
const PASSAGES = 800
/** Numbers of a test vector, and bytes of each. */
const DIM = 256
const BYTES = 4

describe(`crashes while agents learn (seed ${SEED})`, () => {
  const random = randomOf(SEED)
  let data: string
  let models: ModelServer
  let server: ServerProcess
  let letta: Letta
  /** Requests for embeddings that have come. */
  let asked = 0

  beforeEach(async () => {
    asked = 0
    models = await startModelServer({
      'GET /v1/models': { json: { data: [{ id: 'chat' }, { id: 'embed-small' }] } },
      'POST /v1/embeddings': (body) => {
        asked++
        return { json: embeddingsAnswer(body, DIM) }
      },
    })
    data = await mkdtemp(join(tmpdir(), 'loci-crash-'))
    server = new ServerProcess(data, `${models.url}/v1`)
    await start()
  })
  afterEach(async () => {
    await server.kill()
    await models.close()
    await rm(data, { recursive: true, force: true, maxRetries: 5 })
  })

  async function start(): Promise<void> {
    await server.start()
    letta = new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 })
  }
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  const crash = async () => {
    await server.kill()
    await start()
  }
  /** Rows of a table, read beside the server. */
  const rows = (table: string) => {
    const database = new DatabaseSync(join(data, 'loci.db'), { readOnly: true, timeout: 5_000 })
    try {
      return Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n'])
    } finally {
      database.close()
    }
  }

  it('what is embedded when its process dies is embedded by the next, each text once', async function () {
    this.timeout(180_000)
    const words = Array.from({ length: PASSAGES }, (_, i) => `parrot number ${i} and its ${i * 7919}`)
    const archive = await letta.archives.create({ name: 'birds', embedding: MODEL })
    for (let i = 0; i < PASSAGES; i += 100)
      await letta.archives.passages.createMany(archive.id, {
        passages: words.slice(i, i + 100).map((text) => ({ text })),
      })
    const folder = await letta.folders.create({ name: 'logs', embedding: MODEL })
    const text = Array.from({ length: 8_000 }, (_, i) => `line ${i} of the log of a parrot`).join('\n')
    const { id: file_id } = await letta.folders.files.upload(folder.id, { file: new File([text], 'a.log') })
    let interrupted = 0
    for (let n = 0; n < KILLS; n++) {
      const before = asked
      // Until it embeds, or has nothing left to embed.
      await eventually(
        'the server embeds',
        async () => (asked > before || (await isDone()) ? true : null),
        30_000,
      )
      await pause(random() * 20)
      if (!(await isDone())) interrupted++
      await crash()
    }
    assert.ok(interrupted > 0, 'the texts are too few for this test')
    await eventually('everything is embedded', async () => ((await isDone()) ? true : null), 120_000)
    const file = await letta.folders.files.retrieve(file_id, { folder_id: folder.id, include_content: true })
    assert.deepEqual([file.content, file.error_message], [text, null])
    assert.equal(rows('vectors'), PASSAGES + (file.total_chunks ?? 0), 'one vector for each text')
    const size = await fetch(`${server.url}/v1/embeddings/total_storage_size?storage-unit=MB`)
    assert.equal(await size.json(), (rows('vectors') * DIM * BYTES) / 1024 ** 2)
    for (const i of [0, Math.floor(PASSAGES / 2), PASSAGES - 1]) {
      const [found] = await letta.passages.search({ archive_id: archive.id, query: words[i] ?? '' })
      assert.equal(found?.passage.text, words[i])
    }

    async function isDone(): Promise<boolean> {
      const now = await letta.folders.files.retrieve(file_id, { folder_id: folder.id })
      const { metadata } = await letta.archives.retrieve(archive.id)
      const status = (metadata?.['embedding'] as { status: string } | undefined)?.status
      const whole = now.chunks_embedded === now.total_chunks
      return now.processing_status === 'completed' && whole && status === 'completed'
    }
  })

  it('an import whose process dies leaves nothing, or is whole', async function () {
    this.timeout(180_000)
    const file = Buffer.from(JSON.stringify(anAgentFile()))
    const send = (name: string) =>
      letta.agents.importFile({ file: new File([file], 'large.af'), name, append_copy_suffix: false })
    let whole = 0
    for (let n = 0; n < KILLS; n++) {
      const sending = send(`agent ${n}`).catch((error: unknown) => {
        assert.ok(!(error instanceof APIError) || error.status === undefined, String(error))
        return null
      })
      // Something of it is stored, its folder or its history: the kill comes in its middle.
      const [table, kept] =
        n % 2 === 0 ? (['messages', whole * MESSAGES] as const) : (['files', whole] as const)
      await eventually('something is staged', () => (rows(table) > kept ? true : null), 30_000)
      await pause(random() * 300)
      await crash()
      const answer = await sending
      const agents = (await letta.agents.list({ name: `agent ${n}` })).items
      assert.ok(!answer || agents.length === 1, 'an acknowledged import is there')
      whole += agents.length
      await eventually(
        'what was not completed is gone',
        () => {
          const counts = [rows('deletions'), rows('messages'), rows('files'), rows('folders')]
          return JSON.stringify(counts) === JSON.stringify([0, whole * MESSAGES, whole, whole]) ? true : null
        },
        60_000,
      )
    }
    assert.ok(whole < KILLS, 'the file is too short for this test')
    const { agent_ids } = await send('the last')
    const id = agent_ids[0] ?? ''
    const last = await letta.agents.messages.list(id, { limit: 1, order: 'desc' })
    assert.match(JSON.stringify(last.items), new RegExp(`note ${MESSAGES - 1} `))
    const { files } = await letta.agents.files.list(id)
    assert.equal(files.length, 1)
    assert.deepEqual([rows('messages'), rows('files')], [(whole + 1) * MESSAGES, whole + 1])
  })
})

const MESSAGES = 10_000

/** An agent with a long history and a folder with a long text. */
function anAgentFile(): object {
  const messages = Array.from({ length: MESSAGES }, (_, i) => ({
    id: `message-${i}`,
    role: i === 0 ? 'system' : i % 2 === 1 ? 'user' : 'assistant',
    content: [{ type: 'text', text: `note ${i} about the weather and the garden` }],
  }))
  const agent = {
    id: 'agent-0',
    name: 'large',
    system: 'You remember.',
    llm_config: {
      model: 'chat',
      model_endpoint_type: 'openai',
      context_window: 100_000,
      handle: 'openai/chat',
    },
    in_context_message_ids: ['message-0', `message-${MESSAGES - 1}`],
    messages,
    source_ids: ['source-0'],
  }
  const content = 'A line about parrots.\n'.repeat(40_000)
  return {
    agents: [agent],
    groups: [],
    blocks: [],
    files: [{ id: 'file-0', source_id: 'source-0', file_name: 'atlas/a.txt', content }],
    sources: [{ id: 'source-0', name: 'atlas' }],
    tools: [],
    mcp_servers: [],
  }
}

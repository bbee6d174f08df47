import assert from 'node:assert/strict'
import { createEmbeddings } from '../../shared/models/embedding-catalog.ts'
import { createOpenAiEmbedder } from '../../shared/models/openai-embeddings.ts'
import type { ProviderConfig } from '../../shared/schema/provider.ts'
import { type ModelServer, type Route, startModelServer } from '../support/model-server.ts'
import { embeddingsAnswer } from '../support/test-embeddings.ts'

const actor = { user_id: 'user-1', organization_id: 'org-1' }
const signal = new AbortController().signal

describe('embedding models', () => {
  let servers: ModelServer[] = []
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()))
    servers = []
  })
  const serve = async (routes: Record<string, Route>) => {
    const server = await startModelServer(routes)
    servers.push(server)
    return server
  }
  const provider = (
    name: string,
    type: ProviderConfig['provider_type'],
    base_url: string,
  ): ProviderConfig => ({
    name,
    provider_type: type,
    base_url,
    category: 'byok',
  })
  const catalog = (...providers: ProviderConfig[]) => createEmbeddings({ providers, discover_local: false })

  it('of Ollama are those that can embed, as long as it says', async () => {
    const { url } = await serve({
      'GET /api/tags': {
        json: { models: [{ name: 'qwen3:8b' }, { name: 'minilm:latest' }, { name: 'bge-m3' }] },
      },
      'POST /api/show': (body) =>
        body['model'] === 'minilm:latest'
          ? { json: { capabilities: ['embedding'], model_info: { 'bert.embedding_length': 384 } } }
          : body['model'] === 'bge-m3'
            ? { status: 500 }
            : { json: { capabilities: ['completion'], model_info: { 'qwen3.embedding_length': 4096 } } },
    })
    const models = await catalog(provider('ollama', 'ollama', url)).list(actor)
    assert.deepEqual(
      models.map(({ handle, embedding_dim, embedding_endpoint_type }) => [
        handle,
        embedding_dim,
        embedding_endpoint_type,
      ]),
      [
        ['ollama/minilm:latest', 384, 'ollama'],
        ['ollama/bge-m3', 1024, 'ollama'],
      ],
    )
  })

  it('of LM Studio are those of its own list, else those that are named so', async () => {
    const own = await serve({
      'GET /api/v0/models': {
        json: {
          data: [
            { id: 'qwen', type: 'llm' },
            { id: 'text-embedding-nomic', type: 'embeddings' },
          ],
        },
      },
    })
    const plain = await serve({
      'GET /v1/models': { json: { data: [{ id: 'qwen' }, { id: 'text-embedding-nomic-embed-text-v1.5' }] } },
    })
    const handles = async (url: string) =>
      (await catalog(provider('lms', 'lmstudio_openai', url)).list(actor)).map((model) => model.handle)
    assert.deepEqual(await handles(own.url), ['lms/text-embedding-nomic'])
    assert.deepEqual(await handles(plain.url), ['lms/text-embedding-nomic-embed-text-v1.5'])
  })

  it('are resolved by their handle: known names without a list, nothing of providers that are not there', async () => {
    const { url } = await serve({
      'GET /v1/models': { json: { data: [{ id: 'chat' }, { id: 'my-embedder' }] } },
    })
    const embeddings = catalog(provider('own', 'openai', `${url}/v1`))
    assert.equal((await embeddings.resolve(actor, 'own/my-embedder'))?.info.name, 'my-embedder')
    assert.equal((await embeddings.resolve(actor, 'own/text-embedding-3-large'))?.info.embedding_dim, 3072)
    assert.equal(await embeddings.resolve(actor, 'nobody/model'), null)
    await assert.rejects(embeddings.resolve(actor, 'own/chatty'), {
      code: 'invalid_argument',
      message: /There is no embedding model 'own\/chatty'. There is: own\/my-embedder/,
    })
    await assert.rejects(embeddings.resolve(actor, 'own/'), { code: 'invalid_argument' })
  })

  it('answer in any order and as base64; the request has the texts and the key', async () => {
    const bodies: Record<string, unknown>[] = []
    const keys: unknown[] = []
    const { url } = await serve({
      'POST /v1/embeddings': (body, request) => {
        bodies.push(body)
        keys.push(request.headers.authorization)
        const vectors = [new Float32Array([3, 4]), new Float32Array([0, 1])]
        const data = vectors.map((vector, index) => ({
          index,
          embedding: Buffer.from(vector.buffer).toString('base64'),
        }))
        return { json: { data: data.toReversed() } }
      },
    })
    const embedder = createOpenAiEmbedder(
      { ...provider('own', 'openai', `${url}/v1`), api_key: 'k' },
      { name: 'm' },
    )
    const vectors = await embedder.embed(['a', 'b'], { signal })
    assert.deepEqual(
      vectors.map((vector) => [...vector]),
      [
        [3, 4],
        [0, 1],
      ],
    )
    assert.deepEqual(bodies, [{ model: 'm', input: ['a', 'b'], encoding_format: 'float' }])
    assert.deepEqual(keys, ['Bearer k'])
    assert.deepEqual(await embedder.embed([], { signal }), [])
  })

  it('are asked again after a failure that passes, and say what is wrong with an answer', async () => {
    let answers: Route[] = []
    const { url } = await serve({
      'POST /v1/embeddings': (body) => answers.shift() ?? { json: embeddingsAnswer(body, 4) },
    })
    const embedder = createOpenAiEmbedder(
      provider('own', 'openai', `${url}/v1`),
      { name: 'm' },
      { first_wait_ms: 1 },
    )
    answers = [{ status: 500 }, { status: 503 }]
    assert.equal((await embedder.embed(['a'], { signal }))[0]?.length, 4)
    const wrong: [unknown, RegExp][] = [
      [{ data: [] }, /own at .*\/v1\/embeddings answered 0 vectors for 1 texts\. Nothing of it is kept/],
      [{ hello: 1 }, /answered no list of vectors/],
      ['<html>', /answered something that is not JSON/],
      [{ data: [{ index: 0, embedding: ['x'] }] }, /something that is not a vector/],
      [{ data: [{ index: 0, embedding: [0, 0] }] }, /something that is not a vector/],
      [{ data: [{ index: 5, embedding: [1, 0] }] }, /something that is not a vector/],
    ]
    for (const [body, message] of wrong) {
      answers = [{ json: body }]
      await assert.rejects(embedder.embed(['a'], { signal }), { code: 'llm_error', message })
    }
    answers = [{ json: { data: [{ embedding: [1, 0] }, { embedding: [1, 0, 0] }] } }]
    await assert.rejects(embedder.embed(['a', 'b'], { signal }), { message: /vectors of 2 and of 3 numbers/ })
    answers = [{ status: 401 }]
    await assert.rejects(embedder.embed(['a'], { signal }), { code: 'llm_authentication' })
  })
})

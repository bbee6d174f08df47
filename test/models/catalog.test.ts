import assert from 'node:assert/strict'
import type { Actor } from '../../shared/core/ports/actor.ts'
import { createModels } from '../../shared/models/catalog.ts'
import type { ModelsOptions } from '../../shared/models/catalog.ts'
import { isAppError } from '../../shared/schema/errors.ts'
import { model as modelSchema } from '../../shared/schema/model.ts'
import type { ProviderConfig } from '../../shared/schema/provider.ts'
import { collect, failureOf, providerAt, request } from '../support/model-fixtures.ts'
import { startModelServer } from '../support/model-server.ts'
import type { ModelServer, Route } from '../support/model-server.ts'
import { startScriptedModel } from '../support/scripted-model.ts'

const actor: Actor = { user_id: 'user', organization_id: 'org' }

describe('catalog of models', () => {
  const servers: { close(): Promise<void> }[] = []
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()))
  })
  async function serve(routes: Record<string, Route>): Promise<ModelServer> {
    const server = await startModelServer(routes)
    servers.push(server)
    return server
  }
  /** An address where nothing listens. */
  async function nowhere(): Promise<string> {
    const server = await startModelServer({})
    await server.close()
    return server.url
  }
  const catalog = (providers: ProviderConfig[], more: Partial<ModelsOptions> = {}) =>
    createModels({ providers, discover_local: false, ...more })
  const windows = async (provider: ProviderConfig) => {
    const { models, problems } = await catalog([provider]).list(actor)
    assert.deepEqual(problems, [])
    return models.slice(0, -1).map((found) => [found.handle, found.context_window])
  }

  it('always has loci/demo, complete as V1 describes a model', async () => {
    const models = catalog([])
    const { models: list, problems } = await models.list(actor)
    assert.deepEqual(problems, [])
    assert.deepEqual(
      list.map((found) => found.handle),
      ['loci/demo'],
    )
    assert.deepEqual(modelSchema.parse(list[0]), list[0])
    assert.equal(list[0]?.max_context_window, 32_000)
    const demo = await models.resolve(actor, 'loci/demo')
    assert.match((await collect(demo.language_model, request('hello'))).text, /a script/)
  })

  it('lists what a provider has, and reaches it', async () => {
    const server = await startScriptedModel([{ expect: { model: 'vendor/big' }, reply: { text: 'hi' } }], {
      models: [
        {
          id: 'vendor/big',
          context_length: 200_000,
          name: 'Big',
          top_provider: { max_completion_tokens: 4000 },
        },
        { id: 'plain' },
      ],
    })
    servers.push(server)
    const models = catalog([providerAt(server.url, { name: 'router' })])
    const { models: list } = await models.list(actor)
    const [big] = list
    assert.deepEqual(
      list.map((found) => found.handle),
      ['router/vendor/big', 'router/plain', 'loci/demo'],
    )
    assert.deepEqual(modelSchema.parse(big), big)
    assert.equal(big?.display_name, 'Big')
    assert.equal(big?.max_tokens, 4000)
    assert.equal(big?.model_endpoint, server.url)
    assert.equal(big?.provider_category, 'byok')
    assert.deepEqual(
      list.map((found) => found.max_context_window),
      [200_000, 30_000, 32_000],
    )
    const { info, language_model } = await models.resolve(actor, 'router/vendor/big')
    assert.deepEqual(info, big)
    assert.equal((await collect(language_model, request('Hi'))).text, 'hi')
    await server.done()
  })

  describe('knows the true context size', () => {
    it('of Ollama, and leaves out what cannot chat', async () => {
      const show: Record<string, unknown> = {
        'llama3:8b': {
          capabilities: ['completion', 'tools'],
          model_info: { 'general.architecture': 'llama', 'llama.context_length': 8192 },
        },
        'set:latest': {
          capabilities: ['completion'],
          parameters: 'stop  "x"\nnum_ctx                        16384',
          model_info: { 'q.context_length': 131072 },
        },
        'nomic-embed-text:latest': {
          capabilities: ['embedding'],
          model_info: { 'bert.context_length': 2048 },
        },
      }
      const server = await serve({
        'GET /api/tags': { json: { models: [...Object.keys(show), 'broken'].map((name) => ({ name })) } },
        'POST /api/show': (body) => {
          const found = show[String(body.model)]
          return found ? { json: found } : { status: 500, body: 'no' }
        },
      })
      const found = [
        ['ollama/llama3:8b', 8192],
        ['ollama/set:latest', 16_384],
        ['ollama/broken', 30_000],
      ]
      for (const url of [server.url, `${server.url}/`, `${server.url}/v1`]) {
        assert.deepEqual(await windows(providerAt(url, { name: 'ollama', provider_type: 'ollama' })), found)
      }
    })

    it('of a model that Ollama has loaded, also when it is loaded anew', async () => {
      let context_length = 4096
      const server = await serve({
        'GET /api/tags': { json: { models: [{ name: 'llama3' }] } },
        'GET /api/ps': () => ({ json: { models: [{ name: 'llama3', context_length }] } }),
        'POST /api/show': {
          json: { capabilities: ['completion'], model_info: { 'llama.context_length': 8192 } },
        },
      })
      const provider = providerAt(server.url, { name: 'ollama', provider_type: 'ollama' })
      const models = catalog([provider], { list_ttl_ms: 0 })
      const size = async () => (await models.resolve(actor, 'ollama/llama3')).info.context_window
      assert.equal(await size(), 4096)
      context_length = 8192
      assert.equal(await size(), 4096)
      await models.list(actor)
      assert.equal(await size(), 8192)
    })

    it('of LM Studio, loaded or not', async () => {
      const server = await serve({
        'GET /api/v0/models': {
          json: {
            data: [
              {
                id: 'qwen',
                type: 'llm',
                max_context_length: 32_768,
                compatibility_type: 'mlx',
                state: 'not-loaded',
              },
              {
                id: 'gemma',
                type: 'vlm',
                max_context_length: 131_072,
                loaded_context_length: 4096,
                state: 'loaded',
              },
              { id: 'embedder', type: 'embeddings', max_context_length: 2048 },
            ],
          },
        },
      })
      const provider = providerAt(server.url, { name: 'lmstudio', provider_type: 'lmstudio_openai' })
      assert.deepEqual(await windows(provider), [
        ['lmstudio/qwen', 32_768],
        ['lmstudio/gemma', 4096],
      ])
    })

    it('of an older LM Studio without its own API: unknown', async () => {
      const server = await serve({ 'GET /v1/models': { json: { data: [{ id: 'old' }] } } })
      const provider = providerAt(server.url, { name: 'lmstudio', provider_type: 'lmstudio_openai' })
      assert.deepEqual(await windows(provider), [['lmstudio/old', 30_000]])
    })

    it('from whatever field a list has it in', async () => {
      const fields = [
        { id: 'a', context_length: 1 },
        { id: 'b', max_model_len: 2 },
        { id: 'c', max_context_length: 3 },
        { id: 'd', context_window: 4 },
        { id: 'e', max_input_tokens: 5 },
        { id: 'f', top_provider: { context_length: 6 } },
        { id: 'g', meta: { n_ctx_train: 7 } },
        { id: 'h', context_length: 'many', context_window: null },
      ]
      const server = await serve({ 'GET /v1/models': { json: { data: fields } } })
      const found = (await windows(providerAt(`${server.url}/v1`))).map(([, size]) => size)
      assert.deepEqual(found, [1, 2, 3, 4, 5, 6, 7, 30_000])
    })

    it("from the table for OpenAI's, Anthropic's and Google's models", async () => {
      const ids = [
        'gpt-4o-mini',
        'gpt-4.1',
        'o3',
        'gpt-4-turbo',
        'text-embedding-3-small',
        'whisper-1',
        'gpt-image-1',
      ]
      const server = await serve({ 'GET /v1/models': { json: { data: ids.map((id) => ({ id })) } } })
      const { models } = await catalog([providerAt(`${server.url}/v1`)]).list(actor)
      assert.deepEqual(
        models.slice(0, -1).map((found) => [found.name, found.context_window, found.max_tokens]),
        [
          ['gpt-4o-mini', 128_000, 16_384],
          ['gpt-4.1', 1_047_576, 32_768],
          ['o3', 200_000, 100_000],
          ['gpt-4-turbo', 128_000, 4096],
        ],
      )
      const others = await serve({
        'GET /v1/models?limit=1000': (_, { headers }) =>
          headers['x-api-key'] === 'sk-secret-key' && headers['anthropic-version']
            ? { json: { data: [{ id: 'claude-sonnet-4-5', display_name: 'Claude Sonnet 4.5' }] } }
            : { status: 401 },
        'GET /g/models': {
          json: { data: [{ id: 'models/gemini-2.5-pro' }, { id: 'models/gemini-embedding-001' }] },
        },
      })
      const anthropic = providerAt(`${others.url}/v1`, { name: 'anthropic', provider_type: 'anthropic' })
      assert.deepEqual(await windows(anthropic), [['anthropic/claude-sonnet-4-5', 200_000]])
      const newer = await serve({
        'GET /v1/models?limit=1000': {
          json: {
            data: [
              { id: 'claude-opus-5', max_input_tokens: 1_000_000, max_tokens: 128_000, lifecycle: 'active' },
              { id: 'claude-2.1', lifecycle: 'retired' },
              { id: 'claude-3-5-haiku-20241022' },
            ],
          },
        },
      })
      const live = providerAt(newer.url, { name: 'anthropic', provider_type: 'anthropic' })
      const { models: claudes } = await catalog([live]).list(actor)
      assert.deepEqual(
        claudes
          .slice(0, -1)
          .map((found) => [found.name, found.context_window, found.max_tokens, found.enable_reasoner]),
        [
          ['claude-opus-5', 1_000_000, 128_000, true],
          ['claude-3-5-haiku-20241022', 200_000, 8192, false],
        ],
      )
      const google = providerAt(`${others.url}/g`, { name: 'google_ai', provider_type: 'google_ai' })
      assert.deepEqual(await windows(google), [['google_ai/gemini-2.5-pro', 1_048_576]])
    })
  })

  describe('when a provider fails', () => {
    it('lists the others, and names the URL and the reason for each', async () => {
      const good = await serve({ 'GET /v1/models': { json: { data: [{ id: 'm' }] } } })
      const bad = await serve({
        'GET /hang/models': 'hang',
        'GET /key/models': { status: 401 },
        'GET /html/models': { status: 200, body: '<html>' },
        'GET /down/models': { status: 503 },
        'GET /odd/models': { json: { hello: [1] } },
      })
      const gone = await nowhere()
      const at = (name: string, base_url: string) => providerAt(base_url, { name })
      const models = catalog(
        [
          at('hang', `${bad.url}/hang`),
          at('key', `${bad.url}/key/`),
          at('html', `${bad.url}/html`),
          at('down', `${bad.url}/down`),
          at('gone', gone),
          at('word', 'not a url'),
          at('odd', `${bad.url}/odd`),
          at('good', `${good.url}/v1`),
        ],
        { list_timeout_ms: 200 },
      )
      const { models: list, problems } = await models.list(actor)
      assert.deepEqual(
        list.map((found) => found.handle),
        ['good/m', 'loci/demo'],
      )
      assert.deepEqual(problems, [
        {
          provider: 'hang',
          url: `${bad.url}/hang/models`,
          message: `${bad.url}/hang/models did not answer within 0.2 s`,
        },
        {
          provider: 'key',
          url: `${bad.url}/key/models`,
          message: `${bad.url}/key/models answered 401; check the key of provider 'key'`,
          status: 401,
        },
        {
          provider: 'html',
          url: `${bad.url}/html/models`,
          message: `${bad.url}/html/models answered something that is not JSON; check base_url`,
        },
        {
          provider: 'down',
          url: `${bad.url}/down/models`,
          message: `${bad.url}/down/models answered 503`,
          status: 503,
        },
        {
          provider: 'gone',
          url: `${gone}/models`,
          message: `${gone}/models refused the connection; nothing runs there`,
        },
        {
          provider: 'word',
          url: 'not a url/models',
          message: "'not a url/models' is not a URL; set base_url of provider 'word'",
        },
        {
          provider: 'odd',
          url: `${bad.url}/odd/models`,
          message: `${bad.url}/odd/models answered no list of models; check base_url`,
        },
      ])
    })

    it('still tries its models, but not those of a provider that listed without them', async () => {
      const server = await serve({
        'GET /broken/models': { status: 500 },
        'GET /v1/models': { json: { data: ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => ({ id })) } },
      })
      const models = catalog([
        providerAt(`${server.url}/broken`, { name: 'broken' }),
        providerAt(`${server.url}/v1`, { name: 'good' }),
      ])
      const guess = await models.resolve(actor, 'broken/some/model')
      assert.equal(guess.info.name, 'some/model')
      assert.equal(guess.info.context_window, 30_000)
      const missing = await failureOf(models.resolve(actor, 'good/z'))
      assert.equal(missing.code, 'model_not_found')
      assert.equal(
        missing.message,
        `There is no model 'good/z'. There is: good/a, good/b, good/c, good/d, good/e, … (6 in all). broken: ${server.url}/broken/models answered 500.`,
      )
      assert.equal((await failureOf(models.resolve(actor, 'nobody/x'))).code, 'model_not_found')
      for (const handle of ['gpt-4', '', '/x', 'openai/']) {
        assert.equal((await failureOf(models.resolve(actor, handle))).code, 'invalid_argument')
      }
    })
  })

  it('asks once for all who wait, again when the list is old, and never to resolve what it knows', async () => {
    let ids = ['a']
    const server = await serve({ 'GET /v1/models': () => ({ json: { data: ids.map((id) => ({ id })) } }) })
    const provider = providerAt(`${server.url}/v1`)
    const models = catalog([provider])
    await Promise.all([models.list(actor), models.list(actor), models.resolve(actor, 'openai/a')])
    await models.list(actor)
    assert.equal(server.hits.length, 1)

    const eager = catalog([provider], { list_ttl_ms: 0 })
    const first = await eager.resolve(actor, 'openai/a')
    ids = ['b']
    assert.equal(await eager.resolve(actor, 'openai/a'), first)
    assert.equal(server.hits.length, 2)
    const { models: list } = await eager.list(actor)
    assert.deepEqual(
      list.map((found) => found.handle),
      ['openai/b', 'loci/demo'],
    )
  })

  it('takes letta/auto for the default, else the first real model, else the demo', async () => {
    const server = await serve({ 'GET /v1/models': { json: { data: [{ id: 'a' }, { id: 'b' }] } } })
    const auto = async (providers: ProviderConfig[], default_handle?: string) => {
      const { handle } = await catalog(providers, { default_handle: default_handle ?? null }).resolve(
        actor,
        'letta/auto',
      )
      return handle
    }
    const provider = providerAt(`${server.url}/v1`)
    assert.equal(await auto([provider], 'openai/b'), 'openai/b')
    assert.equal(await auto([provider]), 'openai/a')
    assert.equal(await auto([provider], 'letta/auto'), 'openai/a')
    assert.equal(await auto([]), 'loci/demo')
    await assert.rejects(auto([provider], 'openai/z'), (error) => isAppError(error, 'model_not_found'))
  })

  it('takes no added provider for the default while there is another', async () => {
    const { url } = await serve({ 'GET /v1/models': { json: { data: [{ id: 'chat' }] } } })
    const added = { ...providerAt(`${url}/v1`), name: 'added', updated_at: new Date().toISOString() }
    const own = { ...providerAt(`${url}/v1`), name: 'own' }
    assert.equal((await catalog([added, own]).resolve(actor, 'letta/auto')).handle, 'own/chat')
    assert.equal((await catalog([added]).resolve(actor, 'letta/auto')).handle, 'added/chat')
  })

  it('takes the first of two providers with one name', async () => {
    const server = await serve({
      'GET /one/models': { json: { data: [{ id: 'first' }] } },
      'GET /two/models': { json: { data: [{ id: 'second' }] } },
    })
    const { models } = await catalog([providerAt(`${server.url}/one`), providerAt(`${server.url}/two`)]).list(
      actor,
    )
    assert.deepEqual(
      models.map((found) => found.handle),
      ['openai/first', 'loci/demo'],
    )
  })

  it('is silent about local servers that are not there, but not about those that were named', async () => {
    const gone = await nowhere()
    const local = { local_urls: { ollama: gone, lmstudio: `${gone}/lm` } }
    const quiet = await createModels({ providers: [], ...local }).list(actor)
    assert.deepEqual(quiet.problems, [])
    const named = providerAt(gone, { name: 'ollama', provider_type: 'ollama' })
    const loud = await createModels({ providers: [named], ...local }).list(actor)
    assert.deepEqual(
      loud.problems.map((problem) => problem.provider),
      ['ollama'],
    )
  })

  it('finds Ollama and LM Studio by themselves, once each', async () => {
    const ollama = await serve({ 'GET /api/tags': { json: { models: [{ name: 'llama3' }] } } })
    const lmstudio = await serve({ 'GET /api/v0/models': { json: { data: [{ id: 'qwen', type: 'llm' }] } } })
    const local_urls = { ollama: ollama.url, lmstudio: lmstudio.url }
    const handles = async (providers: ProviderConfig[], discover_local = true) =>
      (await createModels({ providers, local_urls, discover_local }).list(actor)).models.map(
        (found) => found.handle,
      )
    assert.deepEqual(await handles([]), ['ollama/llama3', 'lmstudio/qwen', 'loci/demo'])
    assert.deepEqual(await handles([], false), ['loci/demo'])
    const address = `${ollama.url.replace('127.0.0.1', 'localhost')}/v1`
    const own = providerAt(address, { name: 'mine', provider_type: 'ollama' })
    assert.deepEqual(await handles([own]), ['mine/llama3', 'lmstudio/qwen', 'loci/demo'])
  })

  it('is silent about another server on the port of LM Studio', async () => {
    const other = await serve({ 'GET /': { json: {} } })
    const local_urls = { ollama: await nowhere(), lmstudio: other.url }
    assert.deepEqual((await createModels({ providers: [], local_urls }).list(actor)).problems, [])
  })
})

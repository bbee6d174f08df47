import assert from 'node:assert/strict'
import { apiBase, isLocal, PRESETS, providersFromEnv } from '../../shared/models/providers.ts'
import { providerConfig } from '../../shared/schema/provider.ts'
import { providerAt } from '../support/model-fixtures.ts'

describe('providers', () => {
  it('come from the environment: hosted ones with their key, local ones with their URL', () => {
    assert.deepEqual(providersFromEnv({}), [])
    assert.deepEqual(providersFromEnv({ OPENAI_API_KEY: '', OLLAMA_BASE_URL: '  ', VLLM_API_KEY: 'x' }), [])
    const found = providersFromEnv({
      OPENAI_API_KEY: 'k1',
      ANTHROPIC_API_KEY: 'k2',
      GROQ_API_KEY: 'k3',
      AZURE_API_KEY: 'k4',
      AZURE_BASE_URL: 'https://me.openai.azure.com',
      AZURE_API_VERSION: '2024-10-21',
      OLLAMA_BASE_URL: 'http://box:11434',
      VLLM_API_BASE: 'http://box:8000',
      LMSTUDIO_BASE_URL: 'http://box:1234',
    })
    assert.deepEqual(
      found.map((provider) => [
        provider.name,
        provider.provider_type,
        provider.base_url,
        provider.api_key,
        provider.category,
      ]),
      [
        ['openai', 'openai', 'https://api.openai.com/v1', 'k1', 'base'],
        ['anthropic', 'anthropic', 'https://api.anthropic.com/v1', 'k2', 'base'],
        ['groq', 'groq', 'https://api.groq.com/openai/v1', 'k3', 'base'],
        ['azure', 'azure', 'https://me.openai.azure.com', 'k4', 'base'],
        ['ollama', 'ollama', 'http://box:11434', null, 'base'],
        ['lmstudio', 'lmstudio_openai', 'http://box:1234', null, 'base'],
        ['vllm', 'vllm', 'http://box:8000', null, 'base'],
      ],
    )
    assert.equal(found[3]?.api_version, '2024-10-21')
    for (const provider of found) assert.deepEqual(providerConfig.parse(provider), provider)
  })

  it('openai needs no key where it has a URL of its own', () => {
    const [own] = providersFromEnv({ OPENAI_BASE_URL: 'http://127.0.0.1:8080/v1' })
    assert.deepEqual([own?.name, own?.api_key], ['openai', null])
  })

  it('openai takes OPENAI_BASE_URL, else OPENAI_API_BASE', () => {
    const url = (env: Record<string, string>) =>
      providersFromEnv({ OPENAI_API_KEY: 'k', ...env })[0]?.base_url
    assert.equal(url({ OPENAI_API_BASE: 'http://b/v1' }), 'http://b/v1')
    assert.equal(url({ OPENAI_API_BASE: 'http://b/v1', OPENAI_BASE_URL: 'http://a/v1' }), 'http://a/v1')
    assert.equal(url({ AZURE_API_KEY: 'k' }), 'https://api.openai.com/v1')
  })

  it('anthropic takes ANTHROPIC_BASE_URL, written with or without /v1', () => {
    for (const url of ['http://box:1', 'http://box:1/v1/']) {
      const [own] = providersFromEnv({ ANTHROPIC_BASE_URL: url })
      assert.deepEqual([own?.name, own && apiBase(own)], ['anthropic', 'http://box:1/v1'])
    }
  })

  it('presets are valid, each with a name of its own', () => {
    assert.equal(new Set(PRESETS.map(({ name }) => name)).size, PRESETS.length)
    for (const { name, provider_type, base_url, local } of PRESETS) {
      if (base_url === '') continue
      const provider = providerConfig.parse({ name, provider_type, base_url })
      assert.equal(isLocal(provider), local, name)
    }
  })

  it('local servers may be named with or without /v1; others are taken as they are', () => {
    const base = (url: string, provider_type: 'ollama' | 'openai') =>
      apiBase(providerAt(url, { provider_type }))
    for (const url of ['http://box:1', 'http://box:1/', 'http://box:1/v1', 'http://box:1/v1/']) {
      assert.equal(base(url, 'ollama'), 'http://box:1/v1')
    }
    assert.equal(base('http://box:1/', 'openai'), 'http://box:1')
  })

  it('on this machine or a private network are local', () => {
    for (const host of [
      'localhost',
      '127.0.0.1',
      '192.168.1.2',
      '10.0.0.1',
      '172.16.0.1',
      '[::1]',
      'box.local',
    ]) {
      assert.ok(isLocal(providerAt(`http://${host}:1/v1`)), host)
    }
    for (const host of ['api.openai.com', '172.32.0.1', '8.8.8.8', '10.example.com']) {
      assert.ok(!isLocal(providerAt(`https://${host}/v1`)), host)
    }
  })
})

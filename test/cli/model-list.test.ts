import assert from 'node:assert/strict'
import type { ModelsOverview } from '../../shared/schema/model.ts'
import { assertReadable, cleanEnvironment, loci, temporaryFolder } from '../support/cli-process.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

describe('loci models', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let model: ScriptedModel
  let env: Record<string, string>
  const run = (...args: string[]) => loci(['models', ...args], { env, cwd: folder.path })

  before(async () => {
    folder = await temporaryFolder()
    model = await startScriptedModel([], {
      models: [
        { id: 'big', context_length: 200_000, pricing: { prompt: '0.000003', completion: '0.000015' } },
        { id: 'small', context_length: 8000 },
      ],
    })
    env = cleanEnvironment(folder.path, { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url })
    delete env['OLLAMA_BASE_URL']
    delete env['LMSTUDIO_BASE_URL']
    await loci(['config', 'set', 'discover_local', 'false'], { env })
  })
  after(async () => {
    await model.close()
    await folder.remove()
  })

  it('lists handles with context size, prices and provider', async () => {
    const { code, stdout, stderr } = await run()
    assert.equal(code, 0, stderr)
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((row) => row.split('\t'))
    assert.deepEqual(rows, [
      ['openai/big', '200,000', '3.00', '15.00', 'openai'],
      ['openai/small', '8,000', '', '', 'openai'],
      ['loci/demo', '32,000', '', '', 'letta'],
    ])
  })

  it('lists only those that are meant, also as JSON, and embedding models when asked', async () => {
    assert.match((await run('BIG')).stdout, /^openai\/big\t[^\n]*\n$/)
    const found = JSON.parse((await run('--provider', 'openai', '--json')).stdout) as ModelsOverview
    assert.deepEqual(
      found.models.map(({ handle, price }) => [handle, price]),
      [
        ['openai/big', { input: 3, output: 15, cached_input: null }],
        ['openai/small', null],
      ],
    )
    assert.deepEqual(found.problems, [])
    const nothing = await run('nothing-like-it')
    assert.deepEqual([nothing.code, nothing.stdout], [0, ''])
    assert.match(nothing.stderr, /No model is like that/)
    const typo = await run('--provider', 'opnai')
    assert.match(typo.stderr, /no provider 'opnai'\. Did you mean 'openai'/)
    assertReadable(typo.stderr)
  })

  it('names a provider that does not answer, and ends with 1', async () => {
    const down = { ...env, OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }
    const { code, stdout, stderr } = await loci(['models'], { env: down })
    assert.equal(code, 1)
    assert.match(stdout, /^loci\/demo/)
    assert.match(stderr, /openai does not answer: http:\/\/127\.0\.0\.1:1\/v1.*refused/)
    assert.match(stderr, /loci doctor/)
    assert.doesNotMatch(stderr, /sk-1/)
  })
})

import assert from 'node:assert/strict'
import { curlLines, describeModels, firstModel } from '../../cli/models.ts'
import { run } from '../support/cli-process.ts'

const model = (handle: string) => ({ name: handle.slice(handle.indexOf('/') + 1), handle })
const demo = model('loci/demo')

describe('the models a server found', () => {
  it('are grouped by provider, with a few names and the problems', () => {
    const models = ['a', 'b', 'c', 'd', 'e'].map((name) => model(`openai/${name}`))
    const problems = [{ provider: 'ollama', message: 'http://127.0.0.1:1 does not answer' }]
    assert.equal(
      describeModels({ models: [demo, ...models, model('lm/x/y')], problems }, 80),
      [
        'Models',
        '  loci: 1 (demo)',
        '  openai: 5 (a, b, c, d, …)',
        '  lm: 1 (x/y)',
        '  ollama: http://127.0.0.1:1 does not answer',
      ].join('\n'),
    )
  })

  it('say how to connect a provider when there is only the demo', () => {
    const text = describeModels({ models: [demo], problems: [] }, 40)
    assert.match(text.replaceAll('\n', ' '), /No model provider found\. loci\/demo works without one/)
    assert.match(text, /Ollama[^]*LM Studio[^]*OPENAI_API_KEY/)
    for (const line of text.split('\n')) assert.ok(line.length <= 40, line)
  })

  it('give a first agent a real model before the demo', () => {
    assert.equal(firstModel([demo, model('openai/b'), model('openai/a')]), 'openai/b')
    assert.equal(firstModel([demo]), 'loci/demo')
    assert.equal(firstModel([]), 'loci/demo')
  })
})

describe('the curl lines', () => {
  for (const shell of ['sh', 'bash']) {
    it(`are read by ${shell} as they are meant, whatever the model is called`, async () => {
      const handle = `o'p\`id\`$(id)"\\ ; exit 9`
      const answer = `{"id":"agent-1","name":"first","blocks":[{"id":"block-2"}],"created_by_id":"user-3"}`
      // In place of curl: shows each argument on a line, and answers the first call like the server.
      const script = [
        `curl() { for a in "$@"; do printf '%s\\n' "$a" >&2; done; printf '%s' '${answer}'; }`,
        curlLines('http://h:1', handle, 'first'),
      ].join('\n')
      const { code, stderr } = await run(shell, ['-c', script], { env: { PATH: process.env['PATH'] ?? '' } })
      assert.equal(code, 0)
      const words = stderr.split('\n')
      const sent = words.filter((word) => word.startsWith('{')).map((word) => JSON.parse(word) as unknown)
      assert.equal((sent[0] as { model: string }).model, handle)
      assert.deepEqual(sent[1], { input: 'My name is Ada and I live in London.' })
      assert.ok(words.includes('http://h:1/v1/agents/agent-1/messages'), stderr)
    })
  }
})

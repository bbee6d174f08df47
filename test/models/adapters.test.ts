import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

/** Asks a model in a process of its own, and tells which packages were loaded before and after the first request. */
const SCRIPT = `
import { registerHooks } from 'node:module'
const seen = new Set()
registerHooks({
  load(url, context, next) {
    const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]
    if (name) seen.add(name)
    return next(url, context)
  },
})
const provider = JSON.parse(process.argv[1])
const { createModels } = await import(process.argv[2])
const models = createModels({ providers: [provider], discover_local: false })
const { models: list } = await models.list({})
const { language_model } = await models.resolve({}, list[0].handle)
const before = [...seen]
const message = { role: 'user', content: [{ type: 'text', text: 'Hi' }], name: null }
const request = { messages: [message], tools: [], tool_choice: 'auto', parallel_tool_calls: true, settings: { temperature: 1 } }
let text = ''
for await (const event of language_model.generate(request, { signal: new AbortController().signal, stream: true }))
  if (event.type === 'text') text += event.text
console.log(JSON.stringify({ before, after: [...seen], text }))
`

describe('adapters of models', () => {
  let server: ScriptedModel
  afterEach(() => server?.close())

  for (const [protocol, provider_type, own, other] of [
    ['messages', 'anthropic', '@anthropic-ai/sdk', 'openai'],
    ['responses', 'openai', 'openai', '@anthropic-ai/sdk'],
    ['chat', 'openai', 'openai', '@anthropic-ai/sdk'],
  ])
    it(`are loaded by the first request, and only the one that it needs: ${protocol}`, async () => {
      server = await startScriptedModel([{ reply: { text: 'Hello' } }], { models: ['claude-opus-5'] })
      const provider = {
        name: 'p',
        provider_type,
        base_url: server.url,
        api: protocol,
        api_key: 'k',
        category: 'byok',
      }
      const catalog = new URL('../../shared/models/catalog.ts', import.meta.url).href
      const args = ['--input-type=module', '-e', SCRIPT, JSON.stringify(provider), catalog]
      const { stdout } = await promisify(execFile)(process.execPath, args)
      const { before, after, text } = JSON.parse(stdout) as {
        before: string[]
        after: string[]
        text: string
      }
      assert.equal(text, 'Hello')
      for (const name of ['openai', '@anthropic-ai/sdk'])
        assert.ok(!before.includes(name), `${name} came too early`)
      assert.ok(after.includes(String(own)) && !after.includes(String(other)), after.join())
      await server.done()
    })
})

/** Answers that are kept, for agents that ask for it. */
import Anthropic from '@anthropic-ai/sdk'
import assert from 'node:assert/strict'
import OpenAI from 'openai'
import { KeptAnswers } from '../../shared/server/kept-answers.ts'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

describe('answers to questions that leave no trace', () => {
  let t: TestLoci
  let model: ScriptedModel
  let id: string
  withLociEach((started) => ({ t, model } = started))
  beforeEach(async () => {
    const made = await t.letta.agents.create({
      name: 'sam',
      model: SCRIPTED,
      memory_blocks: [{ label: 'human', value: 'Ada' }],
      metadata: { answer_cache_seconds: 600 },
    })
    id = made.id
  })

  interface Asked {
    text: string
    cache: string | null
    age: string | null
  }

  async function ask(body: object = {}, headers: Record<string, string> = {}): Promise<Asked> {
    const openai = new OpenAI({ baseURL: `${t.url}/openai/v1`, apiKey: 'none', maxRetries: 0 })
    const messages = [{ role: 'user' as const, content: 'What is new?' }]
    const request = { model: 'sam', messages, store: false, stream: false as const, ...body }
    const { data, response } = await openai.chat.completions.create(request, { headers }).withResponse()
    const text = data.choices[0]?.message.content ?? ''
    return { text, cache: response.headers.get('x-loci-cache'), age: response.headers.get('age') }
  }
  const replies = (...texts: string[]) => model.add(...texts.map((text) => ({ reply: { text } })))

  it('are given again to the same user with the same words, and say so', async () => {
    replies('One.', 'Two.', 'Three.')
    assert.deepEqual(await ask(), { text: 'One.', cache: 'miss', age: null })
    assert.deepEqual(await ask(), { text: 'One.', cache: 'hit', age: '0' })
    assert.equal((await ask({ messages: [{ role: 'user', content: 'What else?' }] })).text, 'Two.')
    const kai = await ask({ user: 'kai' })
    assert.deepEqual([kai.text, kai.cache], ['Three.', 'miss'], 'another person is another question')
    assert.equal((await ask()).cache, 'hit')
    const { items } = await t.letta.conversations.messages.list(id)
    assert.deepEqual(
      items.map(({ message_type }) => message_type),
      ['system_message'],
      'nothing is kept of it',
    )
  })

  it('are kept only where the agent asks for it, and never of what has a history', async () => {
    replies('One.', 'Two.', 'Three.', 'Four.')
    assert.equal((await ask({ store: true })).cache, null)
    assert.equal((await ask({ store: true })).text, 'Two.')
    for (const metadata of [{ answer_cache_seconds: 0 }, {}]) {
      await t.letta.agents.update(id, { metadata })
      assert.equal((await ask()).cache, null)
    }
  })

  it('are asked anew when the agent has changed: its memory, tools, model settings or instructions', async () => {
    const changes: (() => Promise<unknown>)[] = [
      () => t.letta.agents.blocks.update('human', { agent_id: id, value: 'Kai' }),
      () => t.letta.agents.update(id, { system: 'Be brief.' }),
      () => t.letta.agents.update(id, { model_settings: { provider_type: 'openai', temperature: 0.1 } }),
      async () => {
        const { items } = await t.letta.tools.list({ name: 'fetch_webpage' })
        await t.letta.agents.tools.attach(items[0]?.id ?? '', { agent_id: id })
      },
    ]
    replies('Of before.')
    assert.equal((await ask()).cache, 'miss')
    for (const [i, change] of changes.entries()) {
      await change()
      replies(`After ${i}.`)
      const { text, cache } = await ask()
      assert.deepEqual([text, cache], [`After ${i}.`, 'miss'])
      assert.equal((await ask()).cache, 'hit')
    }
    await t.letta.agents.blocks.update('human', { agent_id: id, value: 'Ada' })
    await t.letta.agents.delete(id)
    await assert.rejects(ask(), { status: 404 })
  })

  it('are not kept of a turn that called a tool: what it did is to be done again', async () => {
    const call = { name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } }
    for (let i = 0; i < 2; i++) {
      model.add({ reply: { tool_calls: [call] } }, { reply: { text: 'Noted.' } })
      assert.deepEqual(await ask(), { text: 'Noted.', cache: 'miss', age: null })
    }
    assert.equal(
      (await t.letta.agents.blocks.retrieve('human', { agent_id: id })).value,
      'Ada\nLikes tea.\nLikes tea.',
    )
  })

  it('are not kept of a turn that failed', async () => {
    model.add({ reply: { status: 400, body: { error: { message: 'no' } } } })
    await assert.rejects(ask())
    replies('Now.')
    assert.deepEqual(await ask(), { text: 'Now.', cache: 'miss', age: null })
  })

  it('are asked anew when the request says so', async () => {
    replies('One.', 'Two.', 'Three.')
    await ask()
    const fresh = await ask({}, { 'cache-control': 'no-cache' })
    assert.deepEqual([fresh.text, fresh.cache], ['Two.', 'miss'])
    assert.equal((await ask()).text, 'Two.', 'the newer one is kept')
    assert.equal((await ask({}, { 'cache-control': 'no-store' })).text, 'Three.')
    assert.equal((await ask()).text, 'Two.')
  })

  it('are forgotten after their time', async () => {
    await t.letta.agents.update(id, { metadata: { answer_cache_seconds: 0.001 } })
    replies('One.', 'Two.')
    await ask()
    // The clock of the machine moves on between two requests.
    assert.equal((await ask()).text, 'Two.')
  })

  it('are streamed again as they were', async () => {
    replies('One two.')
    const stream = async () => {
      const body = { model: 'sam', messages: [{ role: 'user', content: 'Hi' }], store: false, stream: true }
      const response = await fetch(`${t.url}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify(body),
      })
      return [
        response.headers.get('x-loci-cache'),
        response.headers.get('content-type'),
        await response.text(),
      ]
    }
    const [first, type, text] = await stream()
    assert.equal(first, 'miss')
    assert.match(text ?? '', /One[\s\S]* two\.[\s\S]*data: \[DONE\]\n\n$/)
    assert.deepEqual(await stream(), ['hit', type, text])
  })

  it('are kept of Responses, of the messages of Anthropic, and of generate, each for itself', async () => {
    const openai = new OpenAI({ baseURL: `${t.url}/openai/v1`, apiKey: 'none', maxRetries: 0 })
    const anthropic = new Anthropic({ baseURL: `${t.url}/anthropic`, apiKey: 'none', maxRetries: 0 })
    const asks: Record<string, () => Promise<[string, Response]>> = {
      async responses() {
        const answer = await openai.responses
          .create({ model: 'sam', input: 'Hi', store: false })
          .withResponse()
        return [answer.data.output_text, answer.response]
      },
      async messages() {
        const messages = [{ role: 'user' as const, content: 'Hi' }]
        const body = { model: 'sam', max_tokens: 10, messages, store: false, stream: false as const }
        const { data, response } = await anthropic.messages.create(body).withResponse()
        const [block] = data.content
        return [block?.type === 'text' ? block.text : '', response]
      },
      async generate() {
        const body = JSON.stringify({ prompt: 'Hi' })
        const response = await fetch(`${t.url}/v1/agents/${id}/generate`, { method: 'POST', body })
        return [((await response.json()) as { content: string }).content, response]
      },
    }
    for (const [name, one] of Object.entries(asks)) {
      replies(`Of ${name}.`)
      for (const expected of ['miss', 'hit']) {
        const [text, { headers }] = await one()
        assert.deepEqual([text, headers.get('x-loci-cache')], [`Of ${name}.`, expected])
      }
    }
  })

  it('are turned on by a number of seconds alone: what would be off without a word is refused', async () => {
    for (const seconds of [-1, 'x', '600', {}, true, null, []])
      for (const [method, path] of [
        ['POST', '/v1/agents/'],
        ['PATCH', `/v1/agents/${id}`],
        ['POST', '/agents'],
        ['PATCH', `/agents/${id}`],
      ] as const) {
        const body = { name: 'other', metadata: { answer_cache_seconds: seconds } }
        const { status, body: said } = await t.http(method, path, body)
        assert.equal(status, 422, `${method} ${path} ${JSON.stringify(seconds)}`)
        assert.match(
          JSON.stringify(said),
          /body\.metadata\.answer_cache_seconds: expected a number of seconds/,
        )
      }
    for (const seconds of [0, 0.5, 600]) {
      const metadata = { answer_cache_seconds: seconds, other: null }
      assert.deepEqual((await t.letta.agents.update(id, { metadata })).metadata, metadata)
    }
  })

  it('are never those of another user', async () => {
    const key = async (name: string) => {
      const made = await t.http('POST', '/v1/admin/users', {
        name,
        organization_id: 'org-00000000-0000-4000-8000-000000000000',
      })
      const { id: user } = made.body as { id: string }
      return ((await t.http('POST', `/v1/admin/users/${user}/keys`, {})).body as { key: string }).key
    }
    replies('For Ada.', 'For Kai.')
    const [ada, kai] = [await key('ada'), await key('kai')]
    const as = (token: string) => ask({}, { authorization: `Bearer ${token}` })
    assert.equal((await as(ada)).text, 'For Ada.')
    assert.equal((await as(kai)).text, 'For Kai.')
    assert.deepEqual([(await as(ada)).cache, (await as(kai)).text], ['hit', 'For Kai.'])
  })
})

describe('kept answers', () => {
  const answer = (size: number, expires_at = 100) => ({
    body: new Uint8Array(size),
    content_type: 'text/plain',
    stored_at: 0,
    expires_at,
  })
  const left = (kept: KeptAnswers, keys: string[], now = 0) => keys.filter((key) => kept.find(key, now))

  it('are so many; those that were asked for longest ago make room', () => {
    const kept = new KeptAnswers({ entries: 2, bytes: 100 })
    kept.put('a', answer(1))
    kept.put('b', answer(1))
    kept.find('a', 0)
    kept.put('c', answer(1))
    assert.deepEqual(left(kept, ['a', 'b', 'c']), ['a', 'c'])
  })

  it('are so many bytes, one in the place of another counted once', () => {
    const kept = new KeptAnswers({ entries: 10, bytes: 100 })
    for (let i = 0; i < 5; i++) kept.put('a', answer(60))
    kept.put('b', answer(40))
    assert.deepEqual(left(kept, ['a', 'b']), ['a', 'b'])
    kept.put('c', answer(10))
    assert.deepEqual(left(kept, ['a', 'b', 'c']), ['b', 'c'])
    kept.put('d', answer(101))
    assert.deepEqual(left(kept, ['b', 'c', 'd']), [])
  })

  it('are gone when their time is over', () => {
    const kept = new KeptAnswers({ entries: 10, bytes: 100 })
    kept.put('a', answer(1, 50))
    assert.deepEqual(left(kept, ['a'], 49), ['a'])
    assert.deepEqual(left(kept, ['a'], 50), [])
  })
})

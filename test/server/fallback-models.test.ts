/** Models that are asked when an agent's own cannot answer, through the REST server. */
import { APIError } from '@letta-ai/letta-client'
import type Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, type ScriptedStep, startScriptedModel } from '../support/scripted-model.ts'

const BUSY: ScriptedStep = {
  reply: { status: 429, body: { error: { message: 'Slow down' } }, headers: { 'retry-after': '50' } },
}
const BROKEN: ScriptedStep = {
  reply: { status: 500, body: { error: { message: 'Oops' } }, headers: { 'x-should-retry': 'false' } },
}

describe('fallback models', () => {
  let first: ScriptedModel
  let second: ScriptedModel
  let third: ScriptedModel
  let loci: TestLoci
  let data: string
  beforeEach(async () => {
    first = await startScriptedModel([], { models: ['big'] })
    second = await startScriptedModel([], { models: ['claude-sonnet-4-5'] })
    third = await startScriptedModel([], { models: ['small'] })
    data = await mkdtemp(join(tmpdir(), 'loci-test-'))
    const providers = [
      { name: 'one', provider_type: 'openai', base_url: first.url },
      { name: 'two', provider_type: 'anthropic', base_url: second.url },
      { name: 'three', provider_type: 'openai', base_url: third.url },
    ]
    await writeFile(join(data, 'config.json'), JSON.stringify({ providers }))
    loci = await startLoci({ data })
  })
  afterEach(async () => {
    await loci.close()
    await Promise.all([first, second, third].map((model) => model.close()))
    await rm(data, { recursive: true, force: true })
  })
  const newAgent = (fallback_models: string[]) =>
    loci.letta.agents.create({
      model: 'one/big',
      memory_blocks: [{ label: 'human', value: 'Nothing.' }],
      model_settings: { provider_type: 'openai', fallback_models } as Letta.OpenAIModelSettings,
    })
  const stepsOf = async (agent_id: string) => {
    const { items } = await loci.letta.steps.list({ agent_id, order: 'asc' })
    return items
  }
  const refusal = async (promise: Promise<unknown>) => {
    const error: unknown = await promise.then(
      () => assert.fail('was taken'),
      (thrown: unknown) => thrown,
    )
    assert.ok(error instanceof APIError)
    return error
  }

  it('answer in the same step, stay for the turn, and are named with the reason', async () => {
    first.add(BUSY, { reply: { text: 'Here again.' } })
    second.add(
      {
        reply: {
          reasoning: 'Hm.',
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Likes tea.' } }],
        },
      },
      // Its own thought comes back to it: the double refuses the request otherwise.
      { expect: (body) => JSON.stringify(body).includes('"thinking":"Hm."'), reply: { text: 'Noted.' } },
    )
    const agent = await newAgent(['two/claude-sonnet-4-5'])
    const answer = await loci.letta.agents.messages.create(agent.id, { input: 'I like tea.' })
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    assert.equal(answer.messages.at(-1)?.message_type, 'assistant_message')
    const steps = await stepsOf(agent.id)
    assert.deepEqual(
      steps.map((step) => [step.model, step.provider_name, step.status, step.error_type]),
      [
        ['claude-sonnet-4-5', 'two', 'success', null],
        ['claude-sonnet-4-5', 'two', 'success', null],
      ],
    )
    const [reason] = skippedIn(steps[0])
    assert.equal(reason?.['model'], 'one/big')
    assert.equal(reason?.['code'], 'llm_rate_limit')
    assert.match(reason?.['message'] ?? '', /^one at http.* answered 429: Slow down\./)
    // The next turn asks the agent's own model again, without the thoughts of the other.
    await loci.letta.agents.messages.create(agent.id, { input: 'And now?' })
    assert.equal((await stepsOf(agent.id)).at(-1)?.error_data, null)
    await Promise.all([first.done(), second.done(), third.done()])
    assert.deepEqual(loci.failures, [])
  })

  it('answer a prompt that is asked without the agent, too', async () => {
    first.add(BUSY)
    third.add({ reply: { text: 'Oslo.' } })
    const agent = await newAgent(['three/small'])
    const { status, body } = await loci.http('POST', `/v1/agents/${agent.id}/generate`, { prompt: 'Where?' })
    const { content, model } = body as { content: string; model: string }
    assert.deepEqual([status, content, model], [200, 'Oslo.', 'three/small'])
    first.add(BROKEN)
    third.add(BROKEN)
    const failed = await loci.http('POST', `/v1/agents/${agent.id}/generate`, { prompt: 'Where?' })
    assert.equal(failed.status, 502)
    assert.match((failed.body as { detail: string }).detail, /fallback models could not answer either/)
  })

  it('are asked one after the other, also those that are gone', async () => {
    first.add(BROKEN)
    second.add(BROKEN)
    third.add({ reply: { text: 'I am here.' } })
    const agent = await newAgent(['two/claude-sonnet-4-5', 'three/small'])
    await loci.letta.agents.messages.create(agent.id, { input: 'Who is there?' })
    const [step] = await stepsOf(agent.id)
    assert.equal(step?.model, 'small')
    assert.deepEqual(
      skippedIn(step).map(({ model }) => model),
      ['one/big', 'two/claude-sonnet-4-5'],
    )
    await Promise.all([first.done(), second.done(), third.done()])
  })

  it('that fail, too, are named in the error', async () => {
    first.add(BROKEN, { reply: { text: 'Well again.' } })
    second.add(BROKEN)
    const agent = await newAgent(['two/claude-sonnet-4-5'])
    const error = await refusal(loci.letta.agents.messages.create(agent.id, { input: 'Hi' }))
    assert.match(
      error.message,
      /one at .* answered 500: Oops\. .*The fallback models could not answer either\. two\/claude-sonnet-4-5: two at .* answered 500: Oops\./,
    )
    await loci.letta.agents.messages.create(agent.id, { input: 'Hi' })
    await Promise.all([first.done(), second.done()])
  })

  it('are not asked for a bad request', async () => {
    first.add({ reply: { status: 400, body: { error: { message: 'Unknown parameter' } } } })
    const agent = await newAgent(['three/small'])
    const error = await refusal(loci.letta.agents.messages.create(agent.id, { input: 'Hi' }))
    assert.match(error.message, /Unknown parameter/)
    await Promise.all([first.done(), third.done()])
  })

  it('are not asked once a word was passed on', async () => {
    first.add({ reply: { text: ['One ', 'two ', 'three'], cut_after: 3 } })
    const agent = await newAgent(['three/small'])
    const stream = await loci.letta.agents.messages.stream(agent.id, { input: 'Count', stream_tokens: true })
    let text = ''
    let type: string | undefined
    const read = async () => {
      for await (const item of stream) {
        if (item.message_type === 'assistant_message' && typeof item.content === 'string')
          text += item.content
        if (item.message_type === 'error_message') type = item.error_type
      }
    }
    await read().catch((error: unknown) => assert.ok(error instanceof APIError, String(error)))
    assert.equal(text, 'One two ')
    assert.ok(type === undefined || type === 'llm_error', type)
    await Promise.all([first.done(), third.done()])
  })

  it('can be cancelled while one is asked', async () => {
    const hold = Promise.withResolvers<void>()
    first.add(BROKEN)
    third.add({ reply: { text: 'late', hold: hold.promise } }, { reply: { text: 'unused' } })
    const agent = await newAgent(['three/small', 'two/claude-sonnet-4-5'])
    const run = await loci.letta.agents.messages.createAsync(agent.id, { input: 'Hi' })
    const request = await third.request(0)
    await loci.letta.agents.messages.cancel(agent.id, { run_ids: [run.id] })
    assert.equal(await request.ended, 'aborted')
    const ended = await eventually('the run is cancelled', async () => {
      const now = await loci.letta.runs.retrieve(run.id)
      return now.status === 'cancelled' ? now : null
    })
    assert.equal(ended.stop_reason, 'cancelled')
    first.add({ reply: { text: 'Back.' } })
    await loci.letta.agents.messages.create(agent.id, { input: 'Again' })
    await Promise.all([first.done(), second.done()])
    hold.resolve()
  })

  it('must be there when they are named, and be others', async () => {
    const unknown = await refusal(newAgent(['three/huge']))
    assert.equal(unknown.status, 404)
    assert.match(unknown.message, /There is no model 'three\/huge'\. There is: three\/small/)
    assert.equal((await refusal(newAgent(['one/big']))).status, 400)
    assert.equal((await refusal(newAgent(Array.from({ length: 6 }, () => 'three/small')))).status, 422)
    const agent = await newAgent(['three/small'])
    const settings = { provider_type: 'openai', fallback_models: ['nowhere/x'] } as Letta.OpenAIModelSettings
    assert.equal(
      (await refusal(loci.letta.agents.update(agent.id, { model_settings: settings }))).status,
      404,
    )
    // They outlive a change of other settings, and of the model.
    const warm = await loci.letta.agents.update(agent.id, {
      model_settings: { provider_type: 'openai', temperature: 0.3 },
    })
    assert.deepEqual((warm.model_settings as { fallback_models?: string[] }).fallback_models, ['three/small'])
    const moved = await loci.letta.agents.update(agent.id, { model: 'two/claude-sonnet-4-5' })
    assert.deepEqual((moved.model_settings as { fallback_models?: string[] }).fallback_models, [
      'three/small',
    ])
    assert.equal(moved.model_settings?.provider_type, 'anthropic')
  })
})

/** The models that a step asked in vain, and why. */
function skippedIn(step: Letta.Step | undefined): Record<string, string>[] {
  const data = step?.error_data as { fallback_from: Record<string, string>[] } | null | undefined
  return data?.fallback_from ?? []
}

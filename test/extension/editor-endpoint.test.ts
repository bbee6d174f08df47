import assert from 'node:assert/strict'
import OpenAI, { APIError } from 'openai'
import { fails, openWindow, says, scriptedEditor, type ScriptedEditor } from '../support/editor-models.ts'

const MODEL = 'copilot/gpt-4o'
const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'Tells the weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
}
const HI = [{ role: 'user' as const, content: 'Hi' }]

describe("the editor's models for the official client of OpenAI", () => {
  let editor: ScriptedEditor
  let window: Awaited<ReturnType<typeof openWindow>>
  let openai: OpenAI
  beforeEach(async () => {
    editor = scriptedEditor()
    window = await openWindow(editor)
    openai = new OpenAI({ apiKey: window.token, baseURL: window.base_url, maxRetries: 0 })
  })
  afterEach(() => window.close())

  const ask = (body: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) =>
    openai.chat.completions.create({ model: MODEL, messages: HI, ...body })
  const refused = async (asking: Promise<unknown>) => {
    const error = await asking.then(
      () => assert.fail('it was answered'),
      (error: unknown) => error,
    )
    assert.ok(error instanceof APIError, String(error))
    return error
  }

  it('are listed as they are at the time, and not before anybody asks', async () => {
    assert.equal(editor.lists, 0)
    editor.handles = [MODEL, 'other/llama']
    const { data } = await openai.models.list()
    assert.deepEqual(
      data.map((model) => [model.id, model.owned_by, (model as { context_length?: number }).context_length]),
      [
        [MODEL, 'copilot', 64_000],
        ['other/llama', 'other', 64_000],
      ],
    )
  })

  it('answer in one piece, with their own count of tokens', async () => {
    editor.next.push(says('Hello ', 'Ada'))
    const { choices, usage } = await ask({ messages: [{ role: 'user', content: 'one two three' }] })
    assert.deepEqual([choices[0]?.message.content, choices[0]?.finish_reason], ['Hello Ada', 'stop'])
    assert.deepEqual(usage, { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 })
  })

  it('stream piece by piece, each as it comes', async () => {
    const rest = Promise.withResolvers<void>()
    editor.next.push(async function* () {
      yield { type: 'text', text: 'first' }
      await rest.promise
      yield { type: 'text', text: ' second' }
    })
    const stream = await openai.chat.completions.create({
      model: MODEL,
      messages: HI,
      stream: true,
      stream_options: { include_usage: true },
    })
    const pieces: string[] = []
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const chunk of stream) {
      const text = chunk.choices[0]?.delta.content
      if (text) pieces.push(text)
      if (text === 'first') rest.resolve()
      usage ??= chunk.usage
    }
    assert.deepEqual(pieces, ['first', ' second'])
    assert.equal(usage?.total_tokens, 3)
  })

  it('call tools, and are told what those return, parallel ones in one message', async () => {
    const calls = [
      { type: 'tool_call' as const, id: 'a', name: 'weather', input: { city: 'Oslo' } },
      { type: 'tool_call' as const, id: 'b', name: 'weather', input: { city: 'Rome' } },
    ]
    editor.next.push(says('Looking.', ...calls), says('Cold and warm.'))
    const runner = await openai.chat.completions
      .stream({ model: MODEL, messages: HI, tools: [WEATHER] })
      .finalChatCompletion()
    const message = runner.choices[0]?.message
    assert.equal(runner.choices[0]?.finish_reason, 'tool_calls')
    assert.deepEqual(
      message?.tool_calls?.map((call) => call.type === 'function' && [call.id, call.function.arguments]),
      [
        ['a', '{"city":"Oslo"}'],
        ['b', '{"city":"Rome"}'],
      ],
    )
    assert.deepEqual(editor.requests[0]?.tools, [
      { name: 'weather', description: 'Tells the weather', inputSchema: WEATHER.function.parameters },
    ])
    await ask({
      tools: [WEATHER],
      messages: [
        { role: 'system', content: 'Be short.' },
        ...HI,
        { role: 'assistant', content: 'Looking.', tool_calls: message?.tool_calls ?? [] },
        { role: 'tool', tool_call_id: 'a', content: '-3' },
        { role: 'tool', tool_call_id: 'b', content: [{ type: 'text', text: '21' }] },
      ],
    })
    assert.deepEqual(editor.requests[1]?.messages, [
      { role: 'user', parts: [{ type: 'text', text: 'Be short.' }] },
      { role: 'user', parts: [{ type: 'text', text: 'Hi' }] },
      { role: 'assistant', parts: [{ type: 'text', text: 'Looking.' }, ...calls] },
      {
        role: 'user',
        parts: [
          { type: 'tool_result', id: 'a', text: '-3' },
          { type: 'tool_result', id: 'b', text: '21' },
        ],
      },
    ])
  })

  it('are made to call a tool as far as the editor can', async () => {
    const two = [WEATHER, { ...WEATHER, function: { ...WEATHER.function, name: 'time' } }]
    for (let n = 0; n < 4; n++) editor.next.push(says('x'))
    await ask({ tools: [WEATHER], tool_choice: 'required' })
    await ask({ tools: two, tool_choice: { type: 'function', function: { name: 'time' } } })
    await ask({ tools: two, tool_choice: 'required' })
    await ask({ tools: two, tool_choice: 'none' })
    assert.deepEqual(
      editor.requests.map(({ tools, must_call }) => [tools.map(({ name }) => name).join(), must_call]),
      [
        ['weather', true],
        ['time', true],
        ['weather,time', false],
        ['', false],
      ],
    )
    const last = editor.requests[2]?.messages.at(-1)?.parts[0]
    assert.ok(last?.type === 'text' && last.text.includes('call of one of your tools'))
  })

  it('are shown images, and given the options that they may know', async () => {
    editor.next.push(says('A dot.'))
    const url = `data:image/png;base64,${Buffer.from('png').toString('base64')}`
    await ask({
      temperature: 0.2,
      max_tokens: 50,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url } },
          ],
        },
      ],
    })
    const [text, image] = editor.requests[0]?.messages[0]?.parts ?? []
    assert.deepEqual(text, { type: 'text', text: 'What is it?' })
    assert.ok(image?.type === 'image')
    assert.deepEqual([image.media_type, Buffer.from(image.bytes).toString()], ['image/png', 'png'])
    assert.deepEqual(editor.requests[0]?.options, { temperature: 0.2, max_tokens: 50 })
  })

  it('stop when the client goes away', async () => {
    const stopped = Promise.withResolvers<void>()
    editor.next.push(async function* (_request, signal) {
      yield { type: 'text', text: 'one' }
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      stopped.resolve()
    })
    const stream = await openai.chat.completions.create({ model: MODEL, messages: HI, stream: true })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === 'one') break
    await stopped.promise
  })

  it('say why they cannot be asked, with a status that fits', async () => {
    const cases: [answer: ReturnType<typeof fails>, status: number, text: RegExp][] = [
      [
        fails('NoPermissions', 'consent was not given'),
        403,
        /does not let Loci use gpt-4o.*Use the Editor’s Models/,
      ],
      [fails('Blocked', 'Quota exceeded'), 429, /at its limit \(Quota exceeded\.\)/],
      [fails('Unknown', 'You have exceeded your rate limit'), 429, /at its limit/],
      [fails('NotFound', 'no model'), 404, /not there any more/],
      [fails('Unknown', 'Refused: off_topic'), 400, /off its topic/],
      [fails('Unknown', 'Response got filtered'), 400, /filtered/],
      [fails('Unknown', 'Message exceeds token limit'), 400, /token limit/],
      [fails('Unknown', 'socket hang up'), 502, /could not be asked: socket hang up/],
    ]
    for (const [answer, status, text] of cases) {
      editor.next.push(answer)
      const error = await refused(ask())
      assert.equal(error.status, status, error.message)
      assert.match(error.message, text)
      assert.equal(error.headers?.get('x-should-retry'), String(status >= 500))
    }
  })

  it('say in the stream what went wrong after it began', async () => {
    editor.next.push(fails('Blocked', 'Quota exceeded', 'Well,'))
    const stream = await openai.chat.completions.create({ model: MODEL, messages: HI, stream: true })
    const said: string[] = []
    const error = await refused(
      (async () => {
        for await (const chunk of stream) said.push(chunk.choices[0]?.delta.content ?? '')
      })(),
    )
    assert.equal(said.join(''), 'Well,')
    assert.match(error.message, /at its limit/)
  })

  it('are not asked before the user was, which only the user can begin', async () => {
    editor.access = 'unasked'
    const error = await refused(ask())
    assert.equal(error.status, 403)
    assert.match(error.message, /has to ask you before Loci may use gpt-4o/)
    assert.deepEqual([window.wanted, editor.requests], [[MODEL], []])
    editor.access = 'refused'
    assert.match((await refused(ask())).message, /you have refused it/)
  })

  it('are none of those that Loci itself offers the editor', async () => {
    editor.handles = [MODEL, 'loci/agent-1']
    const error = await refused(ask({ model: 'loci/agent-1' }))
    assert.equal(error.status, 400)
    assert.match(error.message, /would ask itself without end/)
    assert.deepEqual(editor.requests, [])
    assert.match(
      (await refused(ask({ model: 'copilot/none' }))).message,
      /has no model 'copilot\/none'.*gpt-4o/,
    )
  })

  it('answer nobody without the token, nor through another name or for another window', async () => {
    const status = async (headers: Record<string, string>, path = '/models') =>
      (await fetch(window.base_url + path, { headers })).status
    const authorization = `Bearer ${window.token}`
    assert.equal(await status({}), 401)
    assert.equal(await status({ authorization: 'Bearer x' }), 401)
    assert.equal(await status({ authorization, 'x-loci-window': 'editor-other' }), 410)
    assert.equal(await status({ authorization, 'x-loci-window': window.id }, '/window'), 204)
    assert.equal(await status({ authorization }, '/nothing'), 404)
    assert.equal(editor.lists, 0)
  })

  it('name the place of a request that is wrong', async () => {
    const post = async (body: string) => {
      const response = await fetch(`${window.base_url}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${window.token}` },
        body,
      })
      return [response.status, ((await response.json()) as { error: { message: string } }).error.message]
    }
    const bodies: [string, RegExp][] = [
      ['{', /no JSON/],
      ['[]', /the body/],
      ['{}', /model/],
      [`{"model":"${MODEL}","messages":{}}`, /messages/],
      [`{"model":"${MODEL}","messages":[]}`, /messages/],
      [`{"model":"${MODEL}","messages":[{"role":"x"}]}`, /messages\.0\.role/],
      [`{"model":"${MODEL}","messages":[{"role":"user","content":[{"type":"audio"}]}]}`, /content\.0\.type/],
      [`{"model":"${MODEL}","n":2,"messages":[{"role":"user","content":"a"}]}`, /^n:/],
    ]
    for (const [body, text] of bodies) {
      const [status, message] = await post(body)
      assert.equal(status, 400, body)
      assert.match(String(message), text)
    }
  })
})

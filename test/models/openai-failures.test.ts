import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { collect, failureOf, modelAt, request } from '../support/model-fixtures.ts'
import { event } from '../support/model-wire.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import type { ScriptedModel, ScriptedStep } from '../support/scripted-model.ts'

describe('openai-compatible model in trouble', () => {
  let server: ScriptedModel
  const start = async (...steps: ScriptedStep[]) => (server = await startScriptedModel(steps))
  afterEach(() => server.close())
  const ask = (more = {}, retry = {}) => collect(modelAt(server.url, more, retry), request('Hi'))
  const place = () => `openai at ${server.url}/chat/completions`
  const status = (code: number, body: unknown, headers: Record<string, string> = {}): ScriptedStep => ({
    reply: { status: code, body, headers },
  })
  const said = (message: string, more: object = {}) => ({ error: { message, ...more } })

  describe('names provider, URL, cause and what to do, never the key', () => {
    const cases: [string, number, unknown, string, string][] = [
      [
        'a refused key',
        401,
        said('Incorrect API key provided: sk-secret-key.'),
        'llm_authentication',
        "answered 401: Incorrect API key provided: ***. Check the key of provider 'openai'.",
      ],
      [
        'a key that Gemini does not know',
        400,
        [said('API key not valid. Please pass a valid API key.', { status: 'INVALID_ARGUMENT' })],
        'llm_authentication',
        "answered 400: API key not valid. Please pass a valid API key. Check the key of provider 'openai'.",
      ],
      [
        'a forbidden model',
        403,
        { detail: 'Not for you' },
        'llm_authentication',
        "answered 403: Not for you. Check the key of provider 'openai'.",
      ],
      [
        'an unknown model',
        404,
        said("model 'x' not found"),
        'llm_bad_request',
        "answered 404: model 'x' not found. Check that the model is there, and base_url of provider 'openai'.",
      ],
      ['a bad request', 400, said("Invalid 'tools'"), 'llm_bad_request', "answered 400: Invalid 'tools'."],
      ['an error that is text', 422, 'plain words', 'llm_bad_request', 'answered 422: plain words.'],
      ['an error without a body', 400, '', 'llm_bad_request', 'answered 400: no explanation.'],
      [
        'a refusal of Ollama',
        400,
        { error: 'does not support tools' },
        'llm_bad_request',
        'answered 400: does not support tools.',
      ],
      [
        'an HTML page',
        404,
        '<html><head><title>404 Not Found</title></head>',
        'llm_bad_request',
        `answered 404: an HTML page, "404 Not Found". Check that the model is there, and base_url of provider 'openai'.`,
      ],
      [
        'an empty account',
        402,
        said('Insufficient credits'),
        'llm_insufficient_credits',
        "answered 402: Insufficient credits. Add credit to the account of provider 'openai', or choose another model.",
      ],
      [
        'a used up budget, which waiting does not help',
        429,
        said('You exceeded your current quota', { code: 'insufficient_quota' }),
        'llm_rate_limit',
        "answered 429: You exceeded your current quota. Wait a little, or check the plan and limits of provider 'openai'.",
      ],
    ]
    for (const [what, code, body, error_code, text] of cases) {
      it(what, async () => {
        await start(status(code, body))
        const error = await failureOf(ask())
        assert.equal(error.message, `${place()} ${text}`)
        assert.equal(error.code, error_code)
        assert.deepEqual(error.data, {
          provider: 'openai',
          url: `${server.url}/chat/completions`,
          status: code,
        })
        await server.done()
      })
    }

    it('a missing key', async () => {
      await start(status(401, said('No key')))
      const error = await failureOf(ask({ api_key: null }))
      assert.equal(error.message, `${place()} answered 401: No key. Set a key for provider 'openai'.`)
      assert.equal(server.requests[0]?.headers.authorization, undefined)
    })

    it('an endpoint that moved', async () => {
      await start(status(301, '', { location: 'https://example.test/v2?token=1' }))
      const error = await failureOf(ask())
      assert.equal(
        error.message,
        `${place()} answered 301: a redirect to https://example.test/v2. Set base_url of provider 'openai' to where it is now.`,
      )
    })
  })

  describe('recognises a conversation that is too long', () => {
    const cases: [string, number, unknown][] = [
      [
        'OpenAI',
        400,
        said("This model's maximum context length is 8192 tokens.", { code: 'context_length_exceeded' }),
      ],
      [
        'Anthropic',
        400,
        said('prompt is too long: 210000 tokens > 200000 maximum', { type: 'invalid_request_error' }),
      ],
      [
        'Gemini',
        400,
        [said('The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).')],
      ],
      [
        'vLLM',
        400,
        {
          object: 'error',
          message: "This model's maximum context length is 4096 tokens. However, you requested 5000",
        },
      ],
      [
        'llama.cpp',
        400,
        said('the request exceeds the available context size. try increasing it', {
          type: 'exceed_context_size_error',
        }),
      ],
      ['Groq', 413, said('Please reduce the length of the messages or completion.')],
      [
        'LM Studio',
        400,
        {
          error:
            'Trying to keep the first 5000 tokens when context the overflows. context length of only 4096',
        },
      ],
    ]
    const windows: Record<string, number> = {
      OpenAI: 8192,
      Anthropic: 200_000,
      Gemini: 1_048_576,
      vLLM: 4096,
      'LM Studio': 4096,
    }
    for (const [who, code, body] of cases) {
      it(`as ${who} says it, with the window that it names`, async () => {
        await start(status(code, body))
        const error = await failureOf(ask())
        assert.equal(error.code, 'llm_context_window')
        assert.match(error.message, /The conversation is longer than the model can read\.$/)
        assert.equal(error.data['context_window'], windows[who])
        await server.done()
      })
    }
  })

  describe('asks again', () => {
    it('after 500, 503 and 429, until it is answered', async () => {
      await start(status(500, said('oops')), status(503, '<html>busy</html>'), { reply: { text: 'at last' } })
      assert.equal((await ask()).text, 'at last')
      await server.done()
    })

    it('as long as Retry-After says, and no longer', async () => {
      await start(
        status(429, said('slow down'), { 'retry-after-ms': '40' }),
        status(429, said('slow down'), { 'retry-after': '0' }),
        { reply: { text: 'ok' } },
      )
      const began = performance.now()
      assert.equal((await ask({}, { first_wait_ms: 20_000, max_wait_ms: 20_000 })).text, 'ok')
      assert.ok(performance.now() - began >= 39, 'waits')
      await server.done()
    })

    it('a limited number of times', async () => {
      await start(status(500, said('one')), status(500, said('two')), status(500, said('three')))
      const error = await failureOf(ask())
      assert.equal(error.code, 'llm_error')
      assert.equal(error.message, `${place()} answered 500: three. Try again later.`)
      await server.done()
    })

    it('but not when Retry-After is longer than anybody waits, or the provider says it is no use', async () => {
      await start(
        status(429, said('tomorrow'), { 'retry-after': '86400' }),
        status(500, said('never'), { 'x-should-retry': 'false' }),
      )
      assert.equal((await failureOf(ask())).code, 'llm_rate_limit')
      assert.equal((await failureOf(ask())).code, 'llm_error')
      await server.done()
    })

    it('after a connection that broke before an answer', async () => {
      await start({ reply: { raw: '', cut_after: 0 } }, { reply: { text: 'ok' } })
      assert.equal((await ask()).text, 'ok')
      await server.done()
    })

    it('but never after a piece of the answer was said', async () => {
      await start({ reply: { text: ['one ', 'two'], cut_after: 2 } })
      let heard = ''
      const broken = collect(modelAt(server.url), request('Hi'), {
        onEvent: (found) => {
          if (found.type === 'text') heard += found.text
        },
      })
      const error = await failureOf(broken)
      assert.equal(heard, 'one ')
      assert.equal(error.code, 'llm_connection')
      assert.match(
        error.message,
        /^openai at http:.* cut the connection in the middle of its answer \(.+\)\. Try again\.$/,
      )
      await server.done()
    })
  })

  describe('reports', () => {
    it('a server that is not there', async () => {
      await start()
      const gone = await startScriptedModel()
      await gone.close()
      const model = modelAt(gone.url, { name: 'ollama', provider_type: 'ollama' })
      const error = await failureOf(collect(model, request('Hi')))
      assert.equal(error.code, 'llm_connection')
      assert.equal(
        error.message,
        `ollama at ${gone.url}/chat/completions cannot be reached: connection refused. Is it running? Start it, or correct base_url of provider 'ollama'.`,
      )
    })

    it('an answer in one piece that breaks off, as broken and not as out of reach', async () => {
      const half = {
        reply: { raw: ['{"choices":[', '{}]}'], cut_after: 1, content_type: 'application/json' },
      }
      await start(half, half, half)
      const error = await failureOf(collect(modelAt(server.url), request('Hi'), { stream: false }))
      assert.equal(error.code, 'llm_connection')
      assert.match(error.message, /cut the connection in the middle of its answer \(.+\)\. Try again\.$/)
      await server.done()
    })

    it('a stream that ends in the middle', async () => {
      await start({ reply: { raw: event({ choices: [{ delta: { content: 'half' } }] }) } })
      const error = await failureOf(ask())
      assert.equal(error.code, 'llm_connection')
      assert.equal(error.message, `${place()} ended the stream in the middle of its answer. Try again.`)
    })

    it('an empty stream', async () => {
      await start({ reply: { raw: '' } })
      assert.equal((await failureOf(ask())).code, 'llm_connection')
    })

    const hollow = [
      { choices: [] },
      { choices: [{}] },
      { choices: [{ message: {} }] },
      { choices: [{ message: { content: 5 } }] },
      { choices: [{ message: { content: 'x', tool_calls: 'y' } }] },
    ]
    for (const body of hollow)
      it(`a completion that says nothing: ${JSON.stringify(body)}`, async () => {
        await start({ reply: { raw: JSON.stringify(body), content_type: 'application/json' } })
        const error = await failureOf(collect(modelAt(server.url), request('Hi'), { stream: false }))
        assert.match(error.message, /answered JSON that is no chat completion/)
      })

    it('a stream that says nothing', async () => {
      await start({ reply: { raw: `${event({ choices: [] })}data: [DONE]\n\n` } })
      assert.match((await failureOf(ask())).message, /answered a stream that says nothing/)
    })

    for (const stream of [true, false]) {
      it(`an HTML page where an answer should be (stream: ${stream})`, async () => {
        await start({ reply: { raw: '<html>Sign in</html>', content_type: 'text/html' } })
        const error = await failureOf(collect(modelAt(server.url), request('Hi'), { stream }))
        assert.equal(error.code, 'llm_error')
        assert.equal(
          error.message,
          `${place()} answered an HTML page instead of JSON: <html>Sign in</html>. Check base_url of provider 'openai'.`,
        )
      })

      it(`JSON that is no completion (stream: ${stream})`, async () => {
        await start({ reply: { raw: '{"hello": 1}', content_type: 'application/json' } })
        const error = await failureOf(collect(modelAt(server.url), request('Hi'), { stream }))
        assert.equal(error.code, 'llm_error')
        assert.match(error.message, /answered JSON that is no chat completion: \{"hello": 1\}/)
      })

      it(`an error inside a 200 (stream: ${stream})`, async () => {
        const text = JSON.stringify({ error: { message: 'Overloaded', code: 503 } })
        const reply = { raw: stream ? `data: ${text}\n\n` : text }
        await start({ reply }, { reply })
        const model = modelAt(server.url, {}, { overload_tries: 2 })
        const error = await failureOf(collect(model, request('Hi'), { stream }))
        assert.equal(error.code, 'llm_error')
        assert.equal(error.message, `${place()} broke off with an error: Overloaded. Try again later.`)
        await server.done()
      })
    }

    it('garbage in a stream', async () => {
      await start({ reply: { raw: 'data: {"choices": [\n\n' } }, { reply: { raw: 'total nonsense' } })
      const first = await failureOf(ask())
      assert.equal(first.code, 'llm_error')
      assert.match(first.message, /answered something that is not JSON: \{"choices": \[/)
      const second = await failureOf(ask())
      assert.match(second.message, /answered no event stream: total nonsense/)
    })

    for (const what of ['words', 'arguments', 'thoughts', 'one event'])
      it(`an answer that never ends: ${what}`, async () => {
        const piece = 'x'.repeat(1024 * 1024)
        const long = Array.from({ length: 100 }, () => piece)
        const delta = {
          words: { content: piece },
          thoughts: { reasoning_content: piece },
          arguments: { tool_calls: [{ index: 0, id: 'a', function: { name: 'now', arguments: piece } }] },
        }[what]
        const raw = delta ? long.map(() => event({ choices: [{ delta }] })) : ['data: ', ...long]
        await start({ reply: { raw } })
        const error = await failureOf(ask())
        assert.equal(error.code, 'llm_error')
        assert.match(
          error.message,
          delta ? /an answer of more than 8 MB; it was cut off/ : /an event of more than/,
        )
        assert.equal(await server.requests[0]?.ended, 'aborted')
        await server.done()
      })

    it('a rate limit that comes in a stream', async () => {
      const text = event({ error: { message: 'Slow down', type: 'rate_limit_exceeded' } })
      await start({ reply: { raw: [event({ choices: [{ delta: { content: 'a' } }] }), text] } })
      assert.equal((await failureOf(ask())).code, 'llm_rate_limit')
    })
  })

  it('reports a key and a URL that cannot be used, without the key', async () => {
    await start()
    const key = await failureOf(ask({ api_key: 'sk-secret\nsecond-line' }))
    assert.equal(key.code, 'llm_connection')
    assert.ok(!/sk-secret|second-line/.test(inspect(key)), inspect(key))
    const url = await failureOf(collect(modelAt('not a url'), request('Hi')))
    assert.match(
      url.message,
      /^openai at not a url\/chat\/completions cannot be reached: Invalid URL\. Check base_url/,
    )
  })

  describe('ends at once when it is aborted', () => {
    const never = new Promise<void>(() => {})
    async function abortedBy(
      run: (abort: () => void, model: ReturnType<typeof modelAt>) => Promise<unknown>,
      retry = {},
    ) {
      const controller = new AbortController()
      const model = modelAt(server.url, {}, retry)
      const asked = collect(model, request('Hi'), {
        signal: controller.signal,
        onEvent: () => controller.abort(),
      })
      const failed = failureOf(asked)
      await run(() => controller.abort(), model)
      const error = await failed
      assert.equal(error.code, 'cancelled')
      assert.equal(error.message, `The request to openai at ${server.url}/chat/completions was cancelled.`)
    }

    it('before it asked', async () => {
      await start()
      const asked = collect(modelAt(server.url), request('Hi'), { signal: AbortSignal.abort() })
      assert.equal((await failureOf(asked)).code, 'cancelled')
      await server.done()
    })

    it('while it waits for the answer, and hangs up', async () => {
      await start({ reply: { text: 'late', hold: never } })
      await abortedBy(async (abort) => {
        await server.request(0)
        abort()
      })
      assert.equal(await server.requests[0]?.ended, 'aborted')
    })

    it('in the middle of the answer, and hangs up', async () => {
      await start({ reply: { text: ['one ', 'two'], hold: never, hold_after: 2 } })
      await abortedBy(async () => {})
      assert.equal(await server.requests[0]?.ended, 'aborted')
    })

    it('while it waits to ask again', async () => {
      await start(status(500, said('no')))
      await abortedBy(
        async (abort) => {
          await (
            await server.request(0)
          ).ended
          setImmediate(abort)
        },
        { first_wait_ms: 20_000 },
      )
      await server.done()
    })

    it('hangs up when its reader leaves', async () => {
      await start({ reply: { text: ['one ', 'two'], hold: never, hold_after: 2 } })
      const options = { signal: new AbortController().signal, stream: true }
      for await (const found of modelAt(server.url).generate(request('Hi'), options)) {
        assert.deepEqual(found, { type: 'text', text: 'one ' })
        break
      }
      assert.equal(await server.requests[0]?.ended, 'aborted')
    })
  })

  describe('does not wait for ever', () => {
    const never = new Promise<void>(() => {})

    it('for the first piece', async () => {
      await start({ reply: { text: 'late', hold: never } })
      const error = await failureOf(ask({ timeouts: { first_token_ms: 50 } }))
      assert.equal(error.code, 'llm_timeout')
      assert.equal(
        error.message,
        `${place()} gave no answer for 0.05 s. Try again, or raise timeouts.first_token_ms of provider 'openai'.`,
      )
      assert.equal(await server.requests[0]?.ended, 'aborted')
    })

    it('for the next piece', async () => {
      await start({ reply: { text: ['one ', 'two'], hold: never, hold_after: 2 } })
      const error = await failureOf(ask({ timeouts: { first_token_ms: 20_000, between_tokens_ms: 50 } }))
      assert.equal(error.code, 'llm_timeout')
      assert.equal(
        error.message,
        `${place()} stopped in the middle of its answer for 0.05 s. Try again, or raise timeouts.between_tokens_ms of provider 'openai'.`,
      )
    })

    it('for a connection', async () => {
      await start()
      const mute = net.createServer().listen(0, '127.0.0.1')
      await once(mute, 'listening')
      try {
        const url = `https://127.0.0.1:${(mute.address() as AddressInfo).port}/v1`
        const model = modelAt(url, { timeouts: { connect_ms: 50 } }, { tries: 1 })
        const error = await failureOf(collect(model, request('Hi')))
        assert.equal(error.code, 'llm_timeout')
        assert.match(error.message, /cannot be reached: no connection after 50 ms\. Check base_url/)
      } finally {
        mute.close()
      }
    })
  })
})

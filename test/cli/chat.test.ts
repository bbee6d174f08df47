import assert from 'node:assert/strict'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  start,
  temporaryFolder,
  withDeadline,
} from '../support/cli-process.ts'
import { startScriptedModel } from '../support/scripted-model.ts'

describe('loci chat', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
  })
  afterEach(() => folder.remove())

  it('answers the lines of a pipe, remembers them next time, and shows tool calls beside them', async () => {
    const first = await loci(['chat', 'Ada', '--create'], {
      env,
      input: 'My name is Ada and I live in London.\n\n',
    })
    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stdout, /^Noted in my memory: .*Ada.*\n$/)
    assert.match(first.stderr, /Created agent 'Ada' on loci\/demo/)
    assert.match(first.stderr, /· memory_insert \{.*human/)
    const second = await loci(['chat', 'Ada'], { env, input: 'Where do I live?\nWhat is my name?' })
    assert.equal(second.code, 0, second.stderr)
    assert.match(second.stdout, /^.*London.*\n.*Ada.*\n$/)
    assert.equal(second.stderr, '')
  })

  it('works on a running server as on the data directory', async () => {
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    try {
      const [url] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const args = ['chat', 'Bob', '--url', url ?? '']
      const created = await loci([...args, '--create'], { env, input: 'My name is Bob.\n' })
      assert.equal(created.code, 0, created.stderr)
      const here = await loci(['chat', 'Bob'], { env, input: 'What is my name?\n' })
      assert.match(here.stdout, /Bob/)
    } finally {
      await server.stop()
    }
  })

  it('talks in a conversation of its own, which shares what the agent remembers', async () => {
    await loci(['chat', 'Ada', '--create'], { env, input: 'My name is Ada.\n' })
    const args = ['chat', 'Ada', '--conversation']
    const first = await loci([...args, 'new'], { env, input: 'What is my name?\n' })
    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stdout, /Ada/)
    const id = /--conversation (conv-[0-9a-f-]{36})/.exec(first.stderr)?.[1] ?? ''
    const again = await loci([...args, id], { env, input: 'What is my name?\n' })
    assert.deepEqual([again.code, again.stderr], [0, ''])
    await loci(['chat', 'Bo', '--create'], { env })
    for (const [agent, wanted, message] of [
      ['Bo', id, /one of another agent/],
      ['Ada', 'nonsense', /'nonsense' is no conversation/],
      ['Ada', 'conv-00000000-0000-4000-8000-000000000000', /not found/],
    ] as const) {
      const failed = await loci(['chat', agent, '--conversation', wanted], { env, input: 'Hi\n' })
      assert.equal(failed.code, 1)
      assert.match(failed.stderr, message)
      assertReadable(failed.stderr)
    }
  })

  it('suggests a near name, or the command that creates the agent', async () => {
    const none = await loci(['chat', 'Ada'], { env })
    assert.equal(none.code, 1)
    assert.match(none.stderr, /no agent 'Ada'.*no agents yet.*loci chat 'Ada' --create/)
    assertReadable(none.stderr)
    await loci(['chat', 'Ada', '--create'], { env })
    const near = await loci(['chat', 'adda'], { env })
    assert.equal(near.code, 1)
    assert.match(near.stderr, /no agent 'adda'\. Did you mean 'Ada'\?/)
    assertReadable(near.stderr)
  })

  it('says why a name cannot be that of an agent, in words of the user', async () => {
    for (const name of ['a/b', '   ', 'x'.repeat(1001)]) {
      const refused = await loci(['chat', name, '--create'], { env, input: 'Hi\n' })
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, /cannot be the name of an agent: /)
      assert.doesNotMatch(refused.stderr, /body\./)
    }
  })

  it('says that a model does not exist, or fails, in one line', async () => {
    const unknown = await loci(['chat', 'Ada', '--create', '--model', 'no/such'], { env, input: 'Hi\n' })
    assert.equal(unknown.code, 1)
    assert.match(unknown.stderr, /no\/such/)
    assertReadable(unknown.stderr)
  })

  it('shows the answer of a model that breaks off, or is down, and says so in one line', async () => {
    const model = await startScriptedModel([
      { reply: { text: ['Half ', 'an', 'swer', 'never'], cut_after: 3 } },
    ])
    const more = { OPENAI_API_KEY: 'sk-secret', OPENAI_BASE_URL: model.url }
    const args = ['chat', 'Ada', '--create', '--model', 'openai/test-model']
    try {
      const broken = await loci(args, { env: { ...env, ...more }, input: 'Hi\nnever asked\n' })
      assert.equal(broken.code, 1)
      assert.match(broken.stdout, /^Half .*\n$/)
      const told = broken.stderr.replace(/^Created agent.*\n/, '')
      assert.match(told, /openai at http:/)
      assertReadable(told)
      assert.equal(model.requests.length, 1)
    } finally {
      await model.close()
    }
    const down = await loci(['chat', 'Ada'], { env: { ...env, ...more }, input: 'Hi\n' })
    assert.equal(down.code, 1)
    assert.equal(down.stdout, '')
    assert.match(down.stderr, /openai at http:.* cannot be reached/)
    assert.doesNotMatch(down.stderr, /sk-secret/)
    assertReadable(down.stderr)
  })

  it('streams, and removes what could take over the terminal', async () => {
    const rest = Promise.withResolvers<void>()
    const model = await startScriptedModel([
      {
        reply: {
          text: ['Hello \x1b]0;ow', 'ned\x07there', ' \x1b[2Jfriend'],
          hold: rest.promise,
          hold_after: 2,
        },
      },
    ])
    const more = { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url }
    const args = ['chat', 'Ada', '--create', '--model', 'openai/test-model']
    const chat = start(process.execPath, [LOCI, ...args], { ...env, ...more })
    try {
      chat.child.stdin?.end('Hi\n')
      await chat.waitFor(/^Hello /)
      assert.doesNotMatch(chat.stdout, /friend/)
      rest.resolve()
      const { code } = await withDeadline(chat.exited, 'end of chat')
      assert.equal(code, 0, chat.stderr)
      assert.equal(chat.stdout, 'Hello there friend\n')
      await model.done()
    } finally {
      await chat.stop()
      await model.close()
    }
  })

  it('sends one message that is given, or all of stdin as one', async () => {
    const model = await startScriptedModel([{ reply: { text: 'first' } }, { reply: { text: 'second' } }])
    const more = { ...env, OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url }
    try {
      const one = await loci(['chat', 'Ada', '--create', '--model', 'openai/test-model', '-m', 'Hi'], {
        env: more,
      })
      assert.deepEqual([one.code, one.stdout], [0, 'first\n'])
      const all = await loci(['chat', 'Ada', '-m', '-'], { env: more, input: 'line 1\nline 2\n' })
      assert.deepEqual([all.code, all.stdout], [0, 'second\n'])
      assert.match(JSON.stringify(model.requests[1]?.body.messages), /line 1\\\\nline 2|line 1\\nline 2/)
      await model.done()
    } finally {
      await model.close()
    }
  })

  it('sends no empty message', async () => {
    await loci(['agents', 'create', 'Ada'], { env })
    for (const [text, code, message] of [
      ['', 2, /'--message' is empty/],
      [' ', 2, /'--message' is empty/],
      ['-', 1, /stdin is empty: nothing was sent/],
      ['@/dev/null', 1, /\/dev\/null is empty: nothing was sent/],
    ] as const) {
      const sent = await loci(['chat', 'Ada', '-m', text], { env })
      assert.deepEqual([sent.code, sent.stdout], [code, ''], text)
      assert.match(sent.stderr, message)
      assertReadable(sent.stderr)
    }
  })

  it('prints what happens as one JSON object a line, the failure of a model too', async () => {
    const model = await startScriptedModel([
      { reply: { tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'x' } }] } },
      { reply: { text: ['Do', 'ne'] } },
      { reply: { status: 500, body: { error: { message: 'broken' } } } },
      { reply: { status: 500, body: { error: { message: 'broken' } } } },
      { reply: { status: 500, body: { error: { message: 'broken' } } } },
    ])
    const more = { ...env, OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url }
    try {
      const args = ['chat', 'Ada', '--create', '--model', 'openai/test-model', '--json']
      const done = await loci(args, { env: more, input: 'Hi\n' })
      assert.equal(done.code, 0, done.stderr)
      const items = done.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { message_type: string })
      const types = items.map(({ message_type }) => message_type)
      assert.ok(types.includes('tool_call_message') && types.includes('tool_return_message'), types.join())
      assert.deepEqual(types.slice(-2), ['stop_reason', 'usage_statistics'])
      const failed = await loci(args, { env: more, input: 'Hi\n' })
      assert.equal(failed.code, 1)
      assert.match(failed.stdout, /"message_type":"error_message"/)
      assertReadable(failed.stderr)
    } finally {
      await model.close()
    }
  })

  it('says what calls that wait are told with --approve, and fails without it', async () => {
    const insert = (text: string) => ({
      reply: { tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: text } }] },
    })
    const model = await startScriptedModel([
      insert('Kai'),
      { reply: { text: 'noted' } },
      insert('Bo'),
      { reply: { text: 'not noted' } },
    ])
    const more = { ...env, OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url }
    const run = (...args: string[]) => loci(args, { env: more })
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], more)
    try {
      const [url] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const id = (await run('agents', 'create', 'Ada', '--model', 'openai/test-model')).stdout.trim()
      const path = `${url}/v1/agents/${id}/tools/approval/memory_insert?requires_approval=true`
      assert.equal((await fetch(path, { method: 'PATCH' })).status, 200)
      const asked = await run('chat', 'Ada', '-m', 'I am Kai')
      assert.equal(asked.code, 1)
      assert.match(asked.stderr, /memory_insert waits for an approval.*--approve yes/)
      assert.equal((await run('blocks', 'show', 'Ada/human')).stdout, '')
      const no = await loci(['chat', 'Ada', '--approve', 'yes'], { env: more, input: '' })
      assert.deepEqual([no.code, no.stdout], [0, ''])
      const denied = await run('chat', 'Ada', '--approve', 'no', '-m', 'I am Bo')
      assert.equal(denied.code, 0, denied.stderr)
      await model.done()
      assert.doesNotMatch((await run('blocks', 'show', 'Ada/human')).stdout, /Bo/)
    } finally {
      await server.stop()
      await model.close()
    }
  })

  it('names the agents there are when none is named', async () => {
    assert.match(
      (await loci(['chat'], { env, input: 'Hi\n' })).stderr,
      /no agents yet.*loci chat Ada --create/,
    )
    await loci(['agents', 'create', 'Ada'], { env })
    const { code, stderr } = await loci(['chat'], { env, input: 'Hi\n' })
    assert.equal(code, 1)
    assert.match(stderr, /loci chat AGENT\. There is: Ada/)
  })

  it('takes a reader that goes away for no error', async () => {
    const many = ['chat', 'Ada', '--create', '--json', '-m', 'My name is Ada.']
    const piped = start('sh', ['-c', `"$0" "$@" | head -n 1`, process.execPath, LOCI, ...many], env)
    const { code } = await withDeadline(piped.exited, 'end of the pipe')
    assert.equal(code, 0)
    assert.equal(piped.stdout.split('\n').length, 2)
    assert.doesNotMatch(piped.stderr, /EPIPE|error/)
  })
})

import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanEnvironment, loci, LOCI, start, temporaryFolder, withDeadline } from '../support/cli-process.ts'
import { eventually } from '../support/loci.ts'
import { type ScriptedModel, type ScriptedStep, startScriptedModel } from '../support/scripted-model.ts'
import {
  ALT_ENTER,
  CTRL_C,
  CTRL_D,
  HAS_TERMINALS,
  lociOnTerminal,
  type OnTerminal,
  UP,
} from '../support/terminal.ts'

const PROMPT = /^> /m

describe('loci chat on a terminal', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let model: ScriptedModel
  const open: OnTerminal[] = []

  before(function () {
    if (!HAS_TERMINALS) this.skip()
  })
  beforeEach(async () => {
    folder = await temporaryFolder()
    model = await startScriptedModel()
    env = cleanEnvironment(folder.path, { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url })
  })
  afterEach(async () => {
    for (const terminal of open.splice(0)) await terminal.stop()
    await model.close()
    await folder.remove()
  })

  /** An agent on the scripted model, which says these steps. */
  async function agent(steps: ScriptedStep[], ...more: string[]): Promise<void> {
    model.add(...steps)
    const made = await loci(['agents', 'create', 'Ada', '--model', 'openai/test-model', ...more], { env })
    assert.equal(made.code, 0, made.stderr)
  }
  function chat(
    args = ['Ada'],
    options: { columns?: number; env?: Record<string, string> } = {},
  ): OnTerminal {
    const terminal = lociOnTerminal(['chat', ...args], {
      env: { ...env, ...options.env },
      columns: options.columns ?? 80,
    })
    open.push(terminal)
    return terminal
  }
  async function requireApproval(agent_id: string, tool: string): Promise<void> {
    const server = start(process.execPath, [LOCI, 'server', '--port', '0', '--json'], env)
    try {
      const [line = ''] = await server.waitFor(/^\{.*\}\n/)
      const { url } = JSON.parse(line) as { url: string }
      const path = `${url}/v1/agents/${agent_id}/tools/approval/${tool}?requires_approval=true`
      assert.equal((await fetch(path, { method: 'PATCH' })).status, 200)
    } finally {
      await server.stop()
    }
  }
  const lastUser = (index: number) => {
    const messages = model.requests[index]?.body.messages ?? []
    return JSON.stringify(messages.findLast(({ role }) => role === 'user')?.content)
  }

  it('shows tool calls with arguments and outcome, the answer, and prompts again', async () => {
    await agent([
      {
        reply: { tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Kai' } }] },
      },
      { reply: { text: ['Noted', ', Kai.'] } },
    ])
    const terminal = chat()
    await terminal.waitFor(PROMPT)
    terminal.type('I am Kai\r')
    await terminal.waitFor(/· memory_insert \{.*Kai.*\n {2}✓ .*\nNoted, Kai\.\n\n> /)
    terminal.type(CTRL_D)
    assert.equal(await terminal.exited, 0)
    await model.done()
  })

  it('sends several lines as one message: Alt-Enter, a backslash, a paste', async () => {
    await agent([1, 2, 3].map((n) => ({ reply: { text: `answer ${n}` } })))
    const terminal = chat()
    await terminal.waitFor(PROMPT)
    terminal.type(`one${ALT_ENTER}two\r`)
    await terminal.waitFor(/answer 1\n\n> /)
    assert.match(lastUser(0), /one\\ntwo/)
    terminal.type('three\\\r')
    await terminal.waitFor(/… /)
    terminal.type('four\r')
    await terminal.waitFor(/answer 2\n\n> /)
    assert.match(lastUser(1), /three\\nfour/)
    const lines = Array.from({ length: 30 }, (_, i) => `line ${i}`).join('\r')
    terminal.type(`\x1b[200~${lines}\x1b[201~ please`)
    await terminal.waitFor(/\[paste 1: 30 lines\] please/)
    terminal.type('\r')
    await terminal.waitFor(/answer 3\n\n> /)
    assert.match(lastUser(2), /line 0\\nline 1\\n.*line 29 please/)
    terminal.type('/quit\r')
    assert.equal(await terminal.exited, 0)
  })

  it('remembers what was typed, also the next time, where only its owner can read it', async () => {
    await agent([{ reply: { text: 'hi' } }, { reply: { text: 'again' } }])
    const first = chat()
    await first.waitFor(PROMPT)
    first.type('a message to keep\r')
    await first.waitFor(/hi\n\n> /)
    first.type('/quit\r')
    await first.exited
    const file = join(folder.path, 'loci', 'chat-history')
    assert.match(await readFile(file, 'utf8'), /a message to keep/)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const second = chat()
    await second.waitFor(PROMPT)
    second.type(`${UP}${UP}`)
    await second.waitFor(/a message to keep/)
    second.type('\r')
    await second.waitFor(/again\n\n> /)
    assert.match(lastUser(1), /a message to keep/)
  })

  it('stops the turn with Ctrl-C, on the server too, and goes on; leaves with a second', async () => {
    const never = new Promise(() => undefined)
    await agent([
      { reply: { text: ['Half ', 'never'], hold: never, hold_after: 2 } },
      { reply: { text: 'fine' } },
      { reply: { text: ['x'], hold: never } },
    ])
    const terminal = chat()
    await terminal.waitFor(PROMPT)
    terminal.type('go\r')
    await terminal.waitFor(/Half/)
    terminal.type(CTRL_C)
    await terminal.waitFor(/\(stopping; Ctrl-C again leaves\)\n\(stopped\)\n\n> /)
    const request = await model.request(0)
    assert.equal(await withDeadline(request.ended, 'end of the request'), 'aborted')
    // At the prompt it takes back what is typed.
    terminal.type('not this')
    await terminal.waitFor(/not this/)
    terminal.type(CTRL_C)
    await terminal.waitFor(PROMPT)
    terminal.type('this\r')
    await terminal.waitFor(/fine\n\n> /)
    assert.match(lastUser(1), /this/)
    assert.doesNotMatch(lastUser(1), /not this/)
    terminal.type('wait\r')
    await model.request(2)
    terminal.type(CTRL_C + CTRL_C)
    assert.equal(await withDeadline(terminal.exited, 'end of chat'), 130)
  })

  it('asks about tool calls that wait: yes, a reason against, always', async () => {
    const insert = (text: string) => ({
      reply: { tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: text } }] },
    })
    await agent([
      insert('one'),
      { reply: { text: 'first' } },
      insert('two'),
      { reply: { text: 'second' } },
      insert('three'),
      { reply: { text: 'third' } },
      insert('four'),
      { reply: { text: 'fourth' } },
    ])
    const server = start(process.execPath, [LOCI, 'server', '--port', '0'], env)
    try {
      const [url = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const [ada] = (await (await fetch(`${url}/v1/agents/?name=Ada`)).json()) as { id: string }[]
      await fetch(`${url}/v1/agents/${ada?.id}/tools/approval/memory_insert?requires_approval=true`, {
        method: 'PATCH',
      })
      const human = async () => (await loci(['blocks', 'show', 'Ada/human'], { env })).stdout
      const terminal = chat(['Ada', '--url', url])
      await terminal.waitFor(PROMPT)
      terminal.type('a\r')
      await terminal.waitFor(
        /\? memory_insert waits for your word\n {2}label: "human"\n {2}new_string: "one"\n.*or why not: /,
      )
      assert.equal(await human(), '')
      terminal.type('?\r')
      await terminal.waitFor(/y runs it[^]*or why not: /)
      terminal.type('y\r')
      await terminal.waitFor(/✓[^]*first\n\n> /)
      assert.match(await human(), /one/)
      terminal.type('b\r')
      await terminal.waitFor(/or why not: /)
      // Left for later: what waits is asked about at the next start.
      terminal.type(CTRL_C)
      await terminal.waitFor(/It waits[^]*> /)
      terminal.type(CTRL_D)
      await terminal.exited
      const next = chat(['Ada', '--url', url])
      await next.waitFor(/new_string: "two"\n.*or why not: /)
      next.type('not that one\r')
      await next.waitFor(/second\n\n> /)
      assert.doesNotMatch(await human(), /two/)
      assert.match(JSON.stringify(model.requests[3]?.body.messages), /not that one/)
      next.type('c\r')
      await next.waitFor(/or why not: /)
      next.type('always\r')
      await next.waitFor(/third\n\n> /)
      next.type('d\r')
      await next.waitFor(/fourth\n\n> /)
      assert.match(await human(), /three[^]*four/)
      await model.done()
    } finally {
      await server.stop()
    }
  })

  for (const [signal, how] of [
    ['SIGKILL', 'was gone meanwhile'],
    ['SIGTERM', 'ended in good order and left it'],
  ] as const)
    it(`goes on with an answer when its server ${how}`, async () => {
      await loci(['config', 'set', 'server.shutdown_grace_seconds', '0'], { env })
      const rest = Promise.withResolvers<void>()
      await agent([
        { reply: { text: ['The first half', ' is lost'], hold: rest.promise, hold_after: 2 } },
        { reply: { text: 'The whole answer.' } },
      ])
      const serve = (port: string) => start(process.execPath, [LOCI, 'server', '--port', port], env)
      const first = serve('0')
      const [url = ''] = await first.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const terminal = chat(['Ada', '--url', url])
      await terminal.waitFor(PROMPT)
      terminal.type('go\r')
      await terminal.waitFor(/The first half/)
      first.child.kill(signal)
      await first.exited
      await terminal.waitFor(/The connection is lost/)
      const second = serve(new URL(url).port)
      try {
        await terminal.waitFor(/The whole answer\.\n\n> /)
        rest.resolve()
      } finally {
        await second.stop()
      }
    })

  it('has commands for memory, context, model and conversations, and suggests near ones', async () => {
    await agent([{ reply: { text: 'one' } }, { reply: { text: 'two' } }], '--human', 'Likes tea.')
    const terminal = chat()
    await terminal.waitFor(PROMPT)
    for (const [typed, shown] of [
      ['/help', /\/memory \[LABEL\][^]*\/quit[^]*> /],
      ['/memory', /human 10 of 100,000 characters\n {2}Likes tea\.[^]*> /],
      ['/memory persona', /friendly assistant\.\n> /],
      ['/memory persna', /no block 'persna'\. Did you mean 'persona'/],
      ['/model', /openai\/test-model 128,000 tokens[^]*Others: loci\/demo\n> /],
      ['/context', /of 128,000 tokens[^]*tools[^]*> /],
      ['/tools', /memory_insert {2}[^]*> /],
      ['/conversaitons', /no command \/conversaitons\. Did you mean \/conversations\?/],
      ['hello', /one\n\n> /],
      ['/history', /you: hello\nAda: one\n> /],
      ['/new', /A new conversation, conv-[^]*> /],
      ['/history', /Nothing was said here yet/],
      ['//slash', /two\n\n> /],
      ['/thoughts', /Thoughts are not shown/],
    ] as const) {
      terminal.type(`${typed}\r`)
      await terminal.waitFor(shown)
    }
    assert.match(lastUser(1), /"\/slash"|\/slash/)
    terminal.type('/conversations\r')
    await terminal.waitFor(/1 {5}the one it always has[^]*2 {2}\* {2}[^]*Which/)
    terminal.type('1\r')
    await terminal.waitFor(/In the conversation it always has\.\nyou: hello\nAda: one\n> /)
    terminal.type('/comp\t')
    await terminal.waitFor(/\/compact /)
  })

  it('shows thoughts dim, and nothing of what could take over the terminal', async () => {
    await agent([{ reply: { reasoning: 'Let me \x1b]0;think\x07 see', text: 'Hello \x1b[2Jfriend' } }])
    const terminal = chat()
    await terminal.waitFor(PROMPT)
    terminal.type('hi\r')
    await terminal.waitFor(/Let me {2}see\nHello friend\n\n> /)
    assert.ok(terminal.raw.includes('\x1b[2mLet'), terminal.raw)
    assert.ok(!terminal.raw.includes('\x1b[2J') && !terminal.raw.includes('\x1b]0'), terminal.raw)
  })

  it('writes no colour with NO_COLOR, and fits 40 columns', async () => {
    await agent([
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'x'.repeat(200) } }],
        },
      },
      { reply: { text: 'ok' } },
    ])
    const terminal = chat(['Ada'], { columns: 40, env: { NO_COLOR: '1' } })
    await terminal.waitFor(PROMPT)
    for (const typed of ['/help', '/memory', '/context', '/tools', 'hi']) {
      terminal.type(`${typed}\r`)
      await terminal.waitFor(/\n> /)
    }
    for (const line of terminal.text.split('\n')) assert.ok(line.length <= 40, line)
    // oxlint-disable-next-line no-control-regex -- what styles begin with
    assert.doesNotMatch(terminal.raw, /\x1b\[[0-9;]*m/)
  })

  it('offers to make an agent where there is none, and picks one of several', async () => {
    model.add({ reply: { text: 'hi from Ada' } })
    const first = chat([])
    await first.waitFor(/There are no agents yet\. A name for your first one \(Enter: Ada\): /)
    first.type('\r')
    await first.waitFor(/Created agent 'Ada' on openai\/test-model[^]*> /)
    first.type('hi\r')
    await first.waitFor(/hi from Ada/)
    await loci(['agents', 'create', 'Bob'], { env })
    const pick = chat([])
    await pick.waitFor(/1 {2}Bob[^]*2 {2}Ada[^]*Talk to which/)
    pick.type('2\r')
    await pick.waitFor(/Talking to Ada/)
    const typo = chat(['Adda'])
    await typo.waitFor(/no agent 'Adda'\. Did you mean 'Ada'[^]*Create 'Adda'\? \[y\/N\] /)
    typo.type('n\r')
    assert.equal(await typo.exited, 1)
  })

  it('keeps what is typed while it works for the next prompt, and answers no question with it', async () => {
    const rest = Promise.withResolvers<void>()
    const insert = { name: 'memory_insert', arguments: { label: 'human', new_string: 'x' } }
    await agent([
      { reply: { text: ['Wait', ' done'], hold: rest.promise, hold_after: 2 } },
      { reply: { tool_calls: [insert] } },
      { reply: { text: 'not done' } },
      { reply: { text: 'last' } },
    ])
    const terminal = chat()
    await terminal.waitFor(PROMPT)
    // All of it in one go: the first line is a message, the others wait.
    terminal.type('one\rtwo\r')
    await terminal.waitFor(/Wait/)
    terminal.type('three')
    rest.resolve()
    await terminal.waitFor(/done\n\n> two⏎three/)
    const ada = JSON.parse((await loci(['agents', 'show', 'Ada', '--json'], { env })).stdout) as {
      id: string
    }
    assert.match(ada.id, /^agent-/)
    await requireApproval(ada.id, 'memory_insert')
    terminal.type('\rn')
    await terminal.waitFor(/or why not: $/)
    terminal.type('no\r')
    await terminal.waitFor(/not done\n\n> n/)
    assert.match(lastUser(1), /two\\\\nthree|two\\nthree/)
  })

  it('leaves with Ctrl-C at an empty prompt', async () => {
    await agent([])
    const terminal = chat()
    await terminal.waitFor(PROMPT)
    terminal.type(CTRL_C)
    assert.equal(await terminal.exited, 0)
    await eventually('the terminal is as it was', () => (terminal.raw.includes('\x1b[?2004l') ? true : null))
  })
})

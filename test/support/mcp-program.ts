/**
 * An MCP server on stdin and stdout that is written by hand, and misbehaves as its first argument says. It speaks the
 * older protocol only.
 */
import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

interface Message {
  id?: number | string
  method?: string
  params?: { name?: string; arguments?: Record<string, unknown>; cursor?: string; protocolVersion?: string }
}

const [mode = 'well', file = ''] = process.argv.slice(2)
const MB = 1024 * 1024

const send = (message: object) =>
  void process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const text = (value: string, more: object = {}) => ({ content: [{ type: 'text', text: value }], ...more })
const schema = (properties: object, required: string[] = []) => ({ type: 'object', properties, required })

const tools: object[] = [
  {
    name: 'add',
    description: 'Adds two numbers.',
    inputSchema: {
      ...schema({ a: { type: 'number' }, b: { type: 'number' } }, ['a', 'b']),
      additionalProperties: false,
    },
  },
  { name: 'env', description: 'Its environment.', inputSchema: schema({}) },
  { name: 'fail', description: 'Fails.', inputSchema: schema({}) },
  { name: 'pid', description: 'Its process and a child of it.', inputSchema: schema({}) },
  { name: 'hang', description: 'Never answers.', inputSchema: schema({}) },
  { name: 'spin', description: 'Keeps the whole program busy for ever.', inputSchema: schema({}) },
  { name: 'slow', description: 'Answers after a while, and reports progress.', inputSchema: schema({}) },
  { name: 'crash', description: 'Ends the program.', inputSchema: schema({}) },
  { name: 'big', description: 'Returns too much.', inputSchema: schema({}) },
  { name: 'line', description: 'Writes a line that does not end.', inputSchema: schema({}) },
  { name: 'deep', description: 'Returns lists in lists.', inputSchema: schema({}) },
  { name: 'hostile', description: 'Returns what steers terminals.', inputSchema: schema({}) },
  { name: 'more', description: 'Gives the server one more tool.', inputSchema: schema({}) },
  { name: 'less', description: 'Takes all tools but this away.', inputSchema: schema({}) },
]

function listed(cursor: string | undefined): object {
  switch (mode) {
    case 'many':
      return {
        tools: Array.from({ length: 5000 }, (_, i) => ({ name: `tool_${i}`, inputSchema: schema({}) })),
      }
    case 'pages': {
      const page = Number(cursor ?? 0)
      return { tools: [{ name: `page_${page}`, inputSchema: schema({}) }], nextCursor: String(page + 1) }
    }
    case 'schemas':
      return {
        tools: [
          { name: 'good', inputSchema: schema({ a: { type: 'string' } }) },
          { name: 'no_schema' },
          { name: 'text', inputSchema: 'object' },
          { name: 'list', inputSchema: { type: 'array', items: {} } },
          { name: 'odd_type', inputSchema: schema({ a: { type: 'strnig' } }) },
          { name: 'lost_ref', inputSchema: schema({ a: { $ref: '#/$defs/nowhere' } }) },
          { name: 'huge', inputSchema: schema({ a: { type: 'string', description: 'x'.repeat(300_000) } }) },
          { inputSchema: schema({}) },
          null,
        ],
      }
    case 'hostile':
      return {
        tools: [
          {
            name: 'look',
            description: `Looks.\u001b[2J\u0000\u202eevil\u{e0041}${'x'.repeat(20_000)}`,
            inputSchema: schema({ q: { type: 'string', description: 'red\u001b[31m' } }),
          },
          { name: 'bad\u001b[2Jname', inputSchema: schema({}) },
        ],
      }
    default:
      return { tools }
  }
}

const children: number[] = []

function call(
  id: Message['id'],
  name: string | undefined,
  args: Record<string, unknown>,
  token: unknown,
): void {
  const answer = (result: object) => send({ id, result })
  switch (name) {
    case 'add':
      return answer(text(String(Number(args['a']) + Number(args['b']))))
    case 'env':
      return answer(text(JSON.stringify(process.env)))
    case 'fail':
      return answer(text('it went wrong', { isError: true }))
    case 'pid': {
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
      children.push(child.pid ?? 0)
      return answer(text(JSON.stringify([process.pid, ...children])))
    }
    case 'hang':
      return
    case 'spin':
      for (;;);
    case 'slow': {
      let left = 6
      const timer = setInterval(() => {
        send({ method: 'notifications/progress', params: { progressToken: token, progress: 6 - left } })
        if (--left > 0) return
        clearInterval(timer)
        answer(text('done'))
      }, 150)
      return
    }
    case 'crash':
      process.stderr.write('the roof is on fire\n')
      return process.exit(7)
    case 'big':
      return answer(text('x'.repeat(50 * MB)))
    case 'line': {
      const more = () => void process.stdout.write('x'.repeat(MB), more)
      return more()
    }
    case 'deep':
      return void process.stdout.write(
        `{"jsonrpc":"2.0","id":${id},"result":{"content":[],"structuredContent":${'['.repeat(5000)}${']'.repeat(5000)}}}\n`,
      )
    case 'hostile':
      return answer(text('\u001b[2J\u001b]0;title\u0007Hello\u0000\r\nthere\u202e\ud800'))
    case 'more':
      tools.push({ name: 'extra', description: 'New.', inputSchema: schema({}) })
      answer(text('ok'))
      return send({ method: 'notifications/tools/list_changed' })
    case 'less':
      tools.splice(0, tools.length, { name: 'less', inputSchema: schema({}) })
      answer(text('ok'))
      return send({ method: 'notifications/tools/list_changed' })
    default:
      send({ id, error: { code: -32602, message: `no tool ${name}` } })
  }
}

function flood(stream: NodeJS.WriteStream, line: string): void {
  const lines = line.repeat(200)
  const more = () => void stream.write(lines, more)
  more()
}

function answer({ id, method, params }: Message): void {
  if (method === 'initialize') {
    send({
      id,
      result: {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'by-hand', version: '1' },
      },
    })
    if (mode === 'flood')
      flood(
        process.stdout,
        '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n',
      )
    if (mode === 'flood-stderr') flood(process.stderr, 'noise noise noise noise noise\n')
    return
  }
  if (method === 'tools/list') return send({ id, result: listed(params?.cursor) })
  if (method === 'tools/call') {
    const meta = (params as { _meta?: { progressToken?: unknown } } | undefined)?._meta
    return call(id, params?.name, params?.arguments ?? {}, meta?.progressToken)
  }
  if (id !== undefined) send({ id, error: { code: -32601, message: 'no such method' } })
}

if (file !== '') appendFileSync(file, `${process.pid}\n`)
if (mode === 'crash') {
  process.stderr.write('no such configuration\n')
  process.exit(3)
}
if (mode === 'text') flood(process.stdout, 'this is no protocol\n')
if (mode === 'noisy') process.stdout.write('Welcome!\n\n{"not": "a message"}\n[1, 2\n')
// Neither the end of its input nor a polite signal ends it.
if (mode === 'stubborn' || mode === 'deaf') {
  process.on('SIGTERM', () => undefined)
  setInterval(() => undefined, 1000)
}
let first = true
if (mode !== 'deaf')
  createInterface({ input: process.stdin }).on('line', (line) => {
    const message = JSON.parse(line) as Message
    // Servers on some libraries end at a request that comes before they are initialised.
    if (first && mode === 'strict' && message.method !== 'initialize') process.exit(1)
    first = false
    answer(message)
  })

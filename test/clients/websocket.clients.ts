/** The examples of docs/websocket.md run as they are written, but for the address and the agent, over a connection that breaks. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { cleanEnvironment, start, temporaryFolder } from '../support/cli-process.ts'
import { SCRIPTED, startLoci } from '../support/loci.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import { pythonOf } from './python-client.ts'
import { docsSnippets } from './tutorial.ts'

const PYTHON_PACKAGE = 'websockets==17.4'
const WORDS = Array.from({ length: 40 }, (_, i) => `w${i} `)

describe('the examples of the WebSocket API', function () {
  this.timeout(120_000)

  for (const [language, heading] of [
    ['ts', 'TypeScript'],
    ['python', 'Python'],
  ] as const) {
    it(`in ${heading} get all of an answer once, also when the connection breaks on the way`, async () => {
      const snippet = docsSnippets('websocket.md').find(({ name }) => name === heading)
      assert.ok(snippet?.language === language)
      const { promise: hold, resolve: open } = Promise.withResolvers<void>()
      const model = await startScriptedModel([{ reply: { text: WORDS, hold, hold_after: 10 } }])
      const t = await startLoci({ model_url: model.url })
      const cut = await startCut(t.url, 'w5 ', open)
      const { id } = await t.letta.agents.create({ model: SCRIPTED })
      const folder = await temporaryFolder()
      const code = snippet.code.replace('127.0.0.1:8283', cut.host).replace('agent-…', id)
      const file = join(folder.path, language === 'ts' ? 'ask.ts' : 'ask.py')
      await writeFile(file, code)
      const command = language === 'ts' ? process.execPath : pythonOf('python-websockets', PYTHON_PACKAGE)
      const program = start(command, [file], cleanEnvironment(folder.path))
      const { code: exit } = await program.exited
      assert.equal(exit, 0, program.stderr)
      assert.equal(program.stdout, WORDS.join(''))
      assert.equal(cut.connections(), 2)
      await cut.close()
      await t.close()
      await model.done()
      await model.close()
      await folder.remove()
      assert.deepEqual(t.failures, [])
    })
  }
})

/** A way to a server that breaks once, when these bytes have come through; then `onCut` is called. */
async function startCut(url: string, bytes: string, onCut: () => void) {
  const { port } = new URL(url)
  let connections = 0
  const server = createServer((client) => {
    const first = ++connections === 1
    const upstream = connect(Number(port), '127.0.0.1')
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.pipe(upstream)
    upstream.on('data', (piece) => {
      client.write(piece)
      if (!first || !piece.includes(bytes)) return
      client.destroy()
      onCut()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    async close() {
      server.close()
      await once(server, 'close')
    },
  }
}

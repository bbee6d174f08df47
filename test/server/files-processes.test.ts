/** Files that are read while their process is killed: another one, or the next, goes on. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Letta from '@letta-ai/letta-client'
import { ServerProcess } from '../reliability/server-process.ts'
import { eventually, lyingUploads } from '../support/loci.ts'

describe('files and processes', () => {
  let data: string
  const servers: ServerProcess[] = []
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-files-'))
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.kill()
    await rm(data, { recursive: true, force: true })
  })

  const start = async () => {
    const server = new ServerProcess(data, 'http://127.0.0.1:1')
    servers.push(server)
    await server.start()
    return { server, letta: new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 }) }
  }
  /** Enough to be killed in the middle of it. */
  const text = Array.from(
    { length: 120_000 },
    (_, i) => `entry ${i}: the quick brown fox jumps over it`,
  ).join('\n')

  /** Uploads the text, and resolves in the middle of its reading. */
  const inTheMiddle = async (letta: Letta) => {
    const folder = await letta.folders.create({ name: 'logs' })
    const file = await letta.folders.files.upload(folder.id, { file: new File([text], 'big.log') })
    await eventually('a part of the file is stored', async () => {
      const now = await letta.folders.files.retrieve(file.id, { folder_id: folder.id })
      assert.notEqual(now.processing_status, 'completed', 'the text is too short for this test')
      return (now.total_chunks ?? 0) > 0 ? now : null
    })
    return { folder_id: folder.id, file_id: file.id }
  }
  const whole = async (letta: Letta, { folder_id, file_id }: { folder_id: string; file_id: string }) => {
    const done = await eventually(
      'the file is read to its end',
      async () => {
        const now = await letta.folders.files.retrieve(file_id, { folder_id, include_content: true })
        return now.processing_status === 'completed' || now.processing_status === 'error' ? now : null
      },
      60_000,
    )
    assert.deepEqual([done.processing_status, done.error_message], ['completed', null])
    assert.equal(done.content, text)
    const response = await fetch(`${letta.baseURL}/v1/folders/${folder_id}/passages?order=asc&limit=1000`)
    const passages = (await response.json()) as { text: string }[]
    const first = passages.map((passage) => passage.text).join('\n')
    assert.equal(first, text.slice(0, first.length), 'nothing of the first reading is left')
    await eventually('the upload is gone', async () =>
      (await lyingUploads(data)).length === 0 ? true : null,
    )
  }

  it('a file whose process dies is read by another one that runs', async () => {
    const one = await start()
    const file = await inTheMiddle(one.letta)
    const other = await start()
    await one.server.kill()
    await whole(other.letta, file)
  })

  it('a file whose process dies is read after the next start', async () => {
    const one = await start()
    const file = await inTheMiddle(one.letta)
    await one.server.kill()
    await whole((await start()).letta, file)
  })

  it('a server that is stopped leaves its file to the next', async () => {
    const one = await start()
    const file = await inTheMiddle(one.letta)
    one.server.signal('SIGTERM')
    await eventually('the server has ended', () => (one.server.isRunning ? null : true))
    await whole((await start()).letta, file)
  })
})

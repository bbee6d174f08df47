import assert from 'node:assert/strict'
import { request } from 'node:http'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Letta from '@letta-ai/letta-client'
import { ServerProcess } from '../reliability/server-process.ts'
import { eventually } from '../support/loci.ts'

/** Where the uploads of some servers lie. */
export interface SharedPlace {
  /** Of each server. */
  env: Record<string, string>
  /** What lies there: whole uploads and parts of some. */
  lying(): Promise<string[]>
  /** Makes everything there look as old as what a dead process has left; null where that cannot be had. */
  age: (() => Promise<void>) | null
}

/** Enough to be killed in the middle of its reading. */
const TEXT = Array.from(
  { length: 60_000 },
  (_, i) => `entry ${i}: the quick brown fox jumps over the lazy dog`,
).join('\n')

/** Two servers with data directories of their own: what one of them took in, the other reads when it is gone. */
export function describeUploadTakeOver(name: string, place: () => Promise<SharedPlace>): void {
  describe(name, function () {
    this.timeout(180_000)
    const servers: ServerProcess[] = []
    const folders: string[] = []
    let shared: SharedPlace
    beforeEach(async () => {
      shared = await place()
    })
    afterEach(async () => {
      for (const server of servers.splice(0)) {
        server.signal('SIGCONT')
        await server.kill()
      }
      for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
    })

    const start = async () => {
      const data = await mkdtemp(join(tmpdir(), 'loci-take-over-'))
      folders.push(data)
      const server = new ServerProcess(data, 'http://127.0.0.1:1', { env: shared.env })
      servers.push(server)
      await server.start()
      return { server, data, letta: new Letta({ baseURL: server.url, apiKey: null, maxRetries: 0 }) }
    }
    type Started = Awaited<ReturnType<typeof start>>
    const upload = async ({ letta }: Started) => {
      const folder = await letta.folders.create({ name: 'logs' })
      const file = await letta.folders.files.upload(folder.id, { file: new File([TEXT], 'big.log') })
      return { folder_id: folder.id, file_id: file.id }
    }
    const inTheMiddle = (
      { letta }: Started,
      { folder_id, file_id }: { folder_id: string; file_id: string },
    ) =>
      eventually('a part of the file is stored', async () => {
        const now = await letta.folders.files.retrieve(file_id, { folder_id })
        assert.notEqual(now.processing_status, 'completed', 'the text is too short for this test')
        return (now.total_chunks ?? 0) > 0 ? now : null
      })
    const whole = async (
      { letta }: Started,
      { folder_id, file_id }: { folder_id: string; file_id: string },
    ) => {
      const done = await eventually(
        'the file is read to its end',
        async () => {
          const now = await letta.folders.files.retrieve(file_id, { folder_id })
          return now.processing_status === 'completed' || now.processing_status === 'error' ? now : null
        },
        60_000,
      )
      assert.deepEqual([done.processing_status, done.error_message], ['completed', null])
      const { content } = await letta.folders.files.retrieve(file_id, { folder_id, include_content: true })
      assert.equal(content, TEXT)
      await eventually('the upload is gone', async () => ((await shared.lying()).length === 0 ? true : null))
    }

    it('a file whose server is killed when it has taken it in is read by the other', async () => {
      const [one, other] = [await start(), await start()]
      const file = await upload(one)
      await one.server.kill()
      await whole(other, file)
      assert.deepEqual(await readdir(join(other.data, 'files')), [], 'no copy is left')
    })

    it('so is one whose server is killed in the middle of reading it', async () => {
      const [one, other] = [await start(), await start()]
      const file = await upload(one)
      await inTheMiddle(one, file)
      await one.server.kill()
      await whole(other, file)
    })

    it('a server that stood still and wakes up spoils nothing of what the other has read', async () => {
      const [one, other] = [await start(), await start()]
      const file = await upload(one)
      await inTheMiddle(one, file)
      one.server.signal('SIGSTOP')
      await whole(other, file)
      one.server.signal('SIGCONT')
      await eventually('it has let its copy go', async () =>
        (await readdir(join(one.data, 'files'))).length === 0 ? true : null,
      )
      await whole(one, file)
    })

    it('what a server has taken in by half when it is killed is removed', async () => {
      const one = await start()
      const { id } = await one.letta.folders.create({ name: 'logs' })
      const sending = sendHalf(`${one.server.url}/v1/folders/${id}/upload`)
      await eventually('a part of it has come', async () => ((await shared.lying()).length > 0 ? true : null))
      await one.server.kill()
      await sending
      assert.equal((await shared.lying()).length, 1)
      await shared.age?.()
      await start()
      await eventually('nothing is left', async () => ((await shared.lying()).length === 0 ? true : null))
    })
  })
}

/** Begins an upload of 100 MB and stops in the middle of it; resolves when the connection is gone. */
function sendHalf(url: string): Promise<void> {
  return new Promise((resolve) => {
    const sending = request(url, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=half', 'content-length': 100_000_000 },
    })
    sending.on('error', () => resolve())
    sending.on('close', () => resolve())
    sending.write('--half\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n')
    sending.write(Buffer.alloc(20_000_000, 'a'))
  })
}

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAppError } from '../../shared/schema/errors.ts'
import { newId } from '../../shared/schema/ids.ts'
import type { S3Settings } from '../../shared/store/uploads/s3-settings.ts'
import { aFolder } from '../contracts/store/files.ts'
import { ADA } from '../contracts/store/samples.ts'
import { eventually, startLoci, storeBeside, type TestLoci } from '../support/loci.ts'
import { type S3Server, startS3Server } from './s3-server.ts'
import { startTroubledProxy, type TroubledProxy } from './troubled-proxy.ts'

describe('reading what lies in object storage', function () {
  this.timeout(120_000)
  let server: S3Server
  let proxy: TroubledProxy
  let settings: S3Settings
  let data: string
  let t: TestLoci | undefined
  before(async () => {
    server = await startS3Server()
  })
  after(() => server?.stop())
  beforeEach(async () => {
    proxy = await startTroubledProxy(server.url)
    settings = await server.bucket()
    data = await mkdtemp(join(tmpdir(), 'loci-s3-'))
  })
  afterEach(async () => {
    await t?.close()
    t = undefined
    await proxy.stop()
    await rm(data, { recursive: true })
  })

  const start = async () =>
    (t = await startLoci({
      data,
      env: {
        LOCI_S3_ENDPOINT: proxy.url.origin,
        LOCI_S3_BUCKET: settings.bucket,
        AWS_ACCESS_KEY_ID: settings.access_key_id,
        AWS_SECRET_ACCESS_KEY: settings.secret_access_key,
      },
    }))
  const isFetch = (line: string) => /^GET .*\/file-/.test(line)

  it('a file waits while its upload cannot be fetched, says so, and is read when it can', async () => {
    const { letta, failures } = await start()
    const busy = { answer: 503 }
    // Two claims of it, each with its attempts.
    proxy.trouble(isFetch, ...Array.from({ length: 8 }, () => busy))
    const { id: folder_id } = await letta.folders.create({ name: 'f' })
    const { id } = await letta.folders.files.upload(folder_id, { file: new File(['one\ntwo'], 'a.txt') })
    const now = () => letta.folders.files.retrieve(id, { folder_id, include_content: true })
    await eventually('it says why it waits', async () =>
      /cannot be fetched at the moment/.test((await now()).error_message ?? '') ? true : null,
    )
    const done = await eventually(
      'it is read',
      async () => {
        const file = await now()
        return file.processing_status === 'completed' ? file : null
      },
      60_000,
    )
    assert.deepEqual([done.content, done.error_message], ['one\ntwo', null])
    assert.equal(proxy.requests.filter(isFetch).length, 9)
    assert.ok(failures.length > 0, 'the log has it')
    for (const { cause } of failures as Error[]) assert.ok(isAppError(cause, 'store_unavailable'))
    await eventually('the upload is gone', async () =>
      (await server.keys(settings)).length === 0 ? true : null,
    )
  })

  it('an upload from before object storage was set up is read from where it lies', async () => {
    const store = await storeBeside(data)
    const { id: folder_id } = await store.folders.create(ADA, aFolder())
    const id = newId('file')
    const incoming = await store.uploads.begin(id)
    await incoming.write(Buffer.from('from before'))
    await incoming.finish()
    await store.files.create(ADA, { id, folder_id, name: 'a.txt', type: null, size: 11 }, 'error')
    await store.close()
    await start()
    const after = await storeBeside(data)
    await eventually('it is read', async () =>
      (await after.files.get(ADA, id))?.processing_status === 'completed' ? true : null,
    )
    const whole = { start_line: 0, end_line: null, max_chars: 100 }
    assert.equal((await after.files.read(ADA, id, whole))?.text, 'from before')
    await eventually('and removed', async () =>
      (await after.uploads.fetch(id, { signal: new AbortController().signal })) === null ? true : null,
    )
    await after.close()
  })

  it('a file that is deleted leaves nothing in the bucket', async () => {
    const { letta, url } = await start()
    proxy.trouble(isFetch, { hang: true })
    const { id: folder_id } = await letta.folders.create({ name: 'f' })
    const { id } = await letta.folders.files.upload(folder_id, { file: new File(['one'], 'a.txt') })
    assert.equal((await server.keys(settings)).length, 1)
    const answer = await fetch(`${url}/v1/folders/${folder_id}/${id}`, { method: 'DELETE' })
    assert.equal(answer.status, 204)
    assert.deepEqual(await server.keys(settings), [])
  })
})

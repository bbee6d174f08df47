import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { isAppError } from '../../shared/schema/errors.ts'
import { LocalCopies } from '../../shared/store/uploads/local-copies.ts'
import type { S3Settings } from '../../shared/store/uploads/s3-settings.ts'
import { S3Uploads } from '../../shared/store/uploads/s3-uploads.ts'
import { allOf } from '../contracts/uploads.contract.ts'
import { type S3Server, startS3Server } from './s3-server.ts'
import { startTroubledProxy, type TroubledProxy } from './troubled-proxy.ts'

const { signal: never } = new AbortController()
/** Several parts. */
const LARGE = 20_000_000

describe('object storage in trouble', function () {
  this.timeout(120_000)
  let server: S3Server
  let proxy: TroubledProxy
  let settings: S3Settings
  let directory: string
  before(async () => {
    server = await startS3Server()
  })
  after(() => server?.stop())
  beforeEach(async () => {
    proxy = await startTroubledProxy(server.url)
    settings = { ...(await server.bucket()), endpoint: proxy.url }
    directory = await mkdtemp(join(tmpdir(), 'loci-uploads-'))
  })
  afterEach(async () => {
    await proxy.stop()
    await rm(directory, { recursive: true })
  })

  const open = (other: Partial<S3Settings> = {}, store_id = 'store-1') =>
    new S3Uploads({
      settings: { ...settings, ...other },
      copies: new LocalCopies(directory),
      store_id: async () => store_id,
    })
  const put = async (uploads: S3Uploads, id: string, content: Uint8Array) => {
    const incoming = await uploads.begin(id)
    try {
      await incoming.write(content)
      await incoming.finish()
    } catch (error) {
      await incoming.abort()
      throw error
    }
  }
  const got = async (uploads: S3Uploads, id: string) => {
    const upload = await uploads.fetch(id, { signal: never })
    assert.ok(upload)
    const content = await readFile(upload.path)
    await upload.close()
    return content
  }
  /** What is thrown says what is wrong and where, and no secret. */
  const refused = async (work: Promise<unknown>, ...said: RegExp[]) => {
    const error = await work.then(
      () => assert.fail('it went well'),
      (thrown: unknown) => thrown,
    )
    assert.ok(isAppError(error, 'store_unavailable'), inspect(error))
    for (const text of said) assert.match(error.message, text)
    assert.ok(!inspect(error, { depth: 10 }).includes(settings.secret_access_key))
    assert.ok(!inspect(error, { depth: 10 }).includes('a secret that is wrong'))
  }
  const isPut = (line: string) => line.startsWith('PUT')
  const isGet = (line: string) => line.startsWith('GET')

  it('says that the secret is another one, and asks once', async () => {
    const uploads = open({ secret_access_key: 'a secret that is wrong' })
    await refused(uploads.check({ signal: never }), /refuses the signature/, /storage\.s3\.secret_access_key/)
    const place = new RegExp(
      `bucket '${settings.bucket}', key 'some/where/store-1/file-1' at ${proxy.url.origin}`,
    )
    const asked = proxy.requests.length
    await refused(put(uploads, 'file-1', randomBytes(10)), place, /HTTP 403 SignatureDoesNotMatch/)
    // And the attempt to remove it.
    assert.equal(proxy.requests.length - asked, 2)
  })

  it('says that the access key is not known', () =>
    refused(
      open({ access_key_id: 'AKIAIOSFODNN7EXAMPLE' }).check({ signal: never }),
      /does not know the access key/,
    ))

  it('says that there is no such bucket', () =>
    refused(
      open({ bucket: 'of-nobody' }).check({ signal: never }),
      /bucket 'of-nobody'.*there is no such bucket\. Create it/,
    ))

  it('says that nothing listens, or that there is no such host', async () => {
    const closed = new URL('http://127.0.0.1:1')
    await refused(
      open({ endpoint: closed }).check({ signal: never }),
      /127\.0\.0\.1:1: nothing listens there/,
    )
    const nowhere = { endpoint: new URL('http://s3.invalid'), attempts: 1 }
    await refused(open(nowhere).check({ signal: never }), /its host is not known/)
  })

  it('says in which region the bucket is', async () => {
    proxy.trouble(() => true, { answer: 301, headers: { 'x-amz-bucket-region': 'eu-central-1' } })
    await refused(open().check({ signal: never }), /Set storage\.s3\.region to 'eu-central-1'/)
  })

  it('asks again after 503s, wherever they come', async () => {
    const busy = { answer: 503, body: '<Error><Code>SlowDown</Code></Error>' }
    for (const which of [/^POST .*uploads=$/, /partNumber=2/, /^POST .*uploadId/, /^GET/, /^DELETE/])
      proxy.trouble((line) => which.test(line), busy, busy)
    const content = randomBytes(LARGE)
    await put(open(), 'file-1', content)
    assert.ok(content.equals(await got(open(), 'file-1')))
    await open().discard('file-1')
    assert.deepEqual(await server.keys(settings), [])
  })

  it('gives up after some 503s, and says so', async () => {
    const busy = { answer: 503 }
    proxy.trouble(isPut, busy, busy, busy, busy, busy, busy, busy)
    await refused(put(open(), 'file-1', randomBytes(10)), /it answers 503/)
    assert.equal(proxy.requests.filter(isPut).length, settings.attempts)
  })

  it('sends a part again whose connection was cut', async () => {
    proxy.trouble(
      (line) => /partNumber=[12]/.test(line),
      { cut_request_after: 1_000_000 },
      { lose_answer: true },
    )
    const content = randomBytes(LARGE)
    await put(open(), 'file-1', content)
    assert.ok(content.equals(await got(open(), 'file-1')))
  })

  it('believes that an upload is whole when only the answer was lost', async () => {
    proxy.trouble((line) => /^POST .*uploadId/.test(line), { lose_answer: true })
    const content = randomBytes(LARGE)
    await put(open(), 'file-1', content)
    assert.ok(content.equals(await got(open(), 'file-1')))
  })

  it('goes on where the connection of a download was cut', async () => {
    const content = randomBytes(LARGE)
    await put(open(), 'file-1', content)
    proxy.trouble(isGet, { cut_answer_after: 7_000_000 }, { cut_answer_after: 5_000_000 })
    assert.ok(content.equals(await got(open(), 'file-1')))
    const from = proxy.requests.flatMap((line) => /bytes=(\d+)-/.exec(line)?.[1] ?? []).map(Number)
    assert.equal(from.length, 2)
    assert.ok(from[0]! > 0 && from[0]! < from[1]! && from[1]! < LARGE, from.join())
    assert.deepEqual(await readdir(directory), [])
  })

  it('leaves no copy of a download that fails', async () => {
    await put(open(), 'file-1', randomBytes(1_000_000))
    const cut = { cut_answer_after: 0 }
    proxy.trouble(isGet, cut, cut, cut, cut, cut, cut, cut)
    await refused(got(open(), 'file-1'), /the connection failed/, /key 'some\/where\/store-1\/file-1'/)
    assert.deepEqual(await readdir(directory), [])
  })

  it('waits for no server that does not answer', async () => {
    const hang = { hang: true } as const
    proxy.trouble(() => true, hang, hang, hang, hang, hang)
    const uploads = open({ timeout_ms: 200 })
    await refused(uploads.check({ signal: never }), /did not answer within 0\.2 s/)
    assert.equal(proxy.requests.length, settings.attempts)
  })

  it('waits for one that is slow but comes on', async () => {
    const content = randomBytes(1_000_000)
    await put(open(), 'file-1', content)
    proxy.trouble(isGet, { pieces: 12, pause_ms: 100 })
    assert.ok(content.equals(await got(open({ timeout_ms: 600, attempts: 1 }), 'file-1')))
  })

  it('stops when it is told to, in the middle of waiting', async () => {
    await put(open(), 'file-1', randomBytes(10))
    proxy.trouble(isGet, { hang: true })
    const stopping = new AbortController()
    const fetched = open().fetch('file-1', { signal: stopping.signal })
    const stopped = assert.rejects(fetched, /enough/)
    stopping.abort(new Error('enough'))
    await stopped
  })

  it('sees nothing of another store in the same bucket', async () => {
    await put(open({}, 'store-2'), 'file-2', randomBytes(10))
    await put(open({ prefix: '' }), 'file-3', randomBytes(10))
    await put(open(), 'file-1', randomBytes(10))
    assert.deepEqual(
      (await allOf(open())).map(({ name }) => name),
      ['file-1'],
    )
  })

  it('tells of all that lies there, however much it is', async () => {
    const uploads = open()
    const names = Array.from({ length: 1_100 }, (_, i) => `file-${String(i).padStart(4, '0')}`)
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(names.slice(at, at + 50).map((name) => put(uploads, name, randomBytes(1))))
    const lying = await allOf(uploads)
    assert.deepEqual(lying.map(({ name }) => name).toSorted(), names)
  })
})

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { S3Settings } from '../../shared/store/uploads/s3-settings.ts'
import { ServerProcess } from '../reliability/server-process.ts'
import { eventually } from '../support/loci.ts'
import { type S3Server, startS3Server } from './s3-server.ts'

const LOCI = fileURLToPath(new URL('../../dist/loci.js', import.meta.url))

interface Finding {
  check: string
  status: string
  message: string
}

describe('object storage that is set up in config.json', function () {
  this.timeout(120_000)
  let server: S3Server
  let settings: S3Settings
  let data: string
  before(async () => {
    server = await startS3Server()
  })
  after(() => server?.stop())
  beforeEach(async () => {
    settings = await server.bucket()
    data = await mkdtemp(join(tmpdir(), 'loci-doctor-'))
  })
  afterEach(() => rm(data, { recursive: true }))

  const write = (more: object) =>
    writeFile(
      join(data, 'config.json'),
      JSON.stringify({
        discover_local: false,
        storage: {
          s3: {
            endpoint: server.url,
            bucket: settings.bucket,
            access_key_id: settings.access_key_id,
            secret_access_key: '${env:UPLOADS_SECRET}',
            ...more,
          },
        },
      }),
      { mode: 0o600 },
    )
  const doctor = (secret: string) =>
    new Promise<{ finding: Finding | undefined; said: string }>((resolve) => {
      const env = { PATH: process.env['PATH'], HOME: data, UPLOADS_SECRET: secret }
      execFile(process.execPath, [LOCI, 'doctor', '--json', '--data', data], { env }, (_, stdout, stderr) => {
        const report = JSON.parse(stdout) as { config: Finding[] }
        const finding = report.config.find(({ check }) => check === 'object storage')
        resolve({ finding, said: stdout + stderr })
      })
    })

  it('is tried by the doctor, who leaves nothing', async () => {
    await write({})
    const { finding } = await doctor(settings.secret_access_key)
    assert.equal(finding?.status, 'ok', finding?.message)
    assert.match(finding.message, new RegExp(`bucket '${settings.bucket}' at ${server.url}`))
    assert.deepEqual(await server.keys(settings), [])
  })

  it('is wrong in words that name no secret', async () => {
    await write({ bucket: 'of-nobody' })
    const nobody = await doctor(settings.secret_access_key)
    assert.match(nobody.finding?.message ?? '', /there is no such bucket/)
    await write({})
    const secret = 'another-secret-that-is-wrong'
    const refused = await doctor(secret)
    assert.deepEqual([refused.finding?.status, refused.said.includes(secret)], ['error', false])
    assert.match(refused.finding?.message ?? '', /refuses the signature/)
  })

  it('that is wrong is in the log of a server soon after its start, which runs; uploads are answered 503', async () => {
    const secret = 'another-secret-that-is-wrong'
    await write({})
    const loci = new ServerProcess(data, 'http://127.0.0.1:1', { env: { UPLOADS_SECRET: secret } })
    try {
      await loci.start()
      await eventually('the log says it', () => (/refuses the signature/.test(loci.output) ? true : null))
      const made = await fetch(`${loci.url}/v1/folders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"name":"f"}',
      })
      const { id } = (await made.json()) as { id: string }
      const form = new FormData()
      form.append('file', new File(['text'], 'a.txt'))
      const answer = await fetch(`${loci.url}/v1/folders/${id}/upload`, { method: 'POST', body: form })
      assert.equal(answer.status, 503)
      assert.match(await answer.text(), new RegExp(`bucket '${settings.bucket}'.*refuses the signature`))
      assert.equal(loci.output.includes(secret), false)
      const list = await fetch(`${loci.url}/v1/folders/${id}/files`)
      assert.deepEqual(await list.json(), [])
    } finally {
      await loci.kill()
    }
  })
})

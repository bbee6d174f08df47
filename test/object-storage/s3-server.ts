import { spawn } from 'node:child_process'
import { AwsClient } from 'aws4fetch'
import type { S3Settings } from '../../shared/store/uploads/s3-settings.ts'
import { eventually } from '../support/loci.ts'

/** A real S3 server of its own process (moto) that checks every signature. */
export interface S3Server {
  url: string
  /** A new bucket, and what is needed to use it. */
  bucket(): Promise<S3Settings>
  /** Where the objects and the unfinished uploads of a bucket are, by key. */
  keys(settings: S3Settings): Promise<string[]>
  stop(): Promise<void>
}

/** The Python that has moto. */
function python(): string {
  const given = process.env['LOCI_TEST_S3_SERVER']
  if (given) return given
  throw new Error('These tests need an S3 server: set LOCI_TEST_S3_SERVER="$(.ci/install-s3-server.sh)".')
}

/** What the tests' user may do: what docs/files.md says that Loci needs, and no more. */
const POLICY = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: [
        's3:GetObject',
        's3:PutObject',
        's3:DeleteObject',
        's3:ListBucket',
        's3:AbortMultipartUpload',
        's3:ListBucketMultipartUploads',
        's3:CreateBucket',
      ],
      Resource: '*',
    },
  ],
}

/** Starts a server on a free port of loopback; the caller stops it. */
export async function startS3Server(): Promise<S3Server> {
  const server = spawn(python(), ['-m', 'moto.server', '-H', '127.0.0.1', '-p', '0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [server.stdout, server.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)))
  const url = await eventually(
    'the S3 server prints its address',
    () => {
      if (server.exitCode !== null) throw new Error(`the S3 server did not start: ${said}`)
      return /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? null
    },
    60_000,
  )
  const keys = await makeUser(url)
  const admin = new AwsClient({ ...keys, service: 's3', region: 'us-east-1', retries: 0 })
  let made = 0
  return {
    url,
    async bucket() {
      const bucket = `bucket-${made++}`
      const { status } = await admin.fetch(`${url}/${bucket}`, { method: 'PUT' })
      if (status !== 200) throw new Error(`the bucket was not made: ${status}`)
      return {
        endpoint: new URL(url),
        bucket,
        region: 'us-east-1',
        prefix: 'some/where/',
        path_style: true,
        access_key_id: keys.accessKeyId,
        secret_access_key: keys.secretAccessKey,
        session_token: null,
        timeout_ms: 10_000,
        attempts: 4,
      }
    },
    async keys({ bucket }) {
      const of = async (query: string) => {
        const answer = await (await admin.fetch(`${url}/${bucket}?${query}`)).text()
        return [...answer.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key ?? '')
      }
      return [...(await of('list-type=2')), ...(await of('uploads'))].toSorted()
    },
    async stop() {
      const ended = new Promise((resolve) => server.once('exit', resolve))
      if (server.exitCode === null && server.kill('SIGKILL')) await ended
    },
  }
}

/** A user with keys; from then on every request must be signed with them. */
async function makeUser(url: string): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const nobody = new AwsClient({
    accessKeyId: 'a',
    secretAccessKey: 'b',
    service: 'iam',
    region: 'us-east-1',
  })
  const ask = async (action: Record<string, string>) => {
    const body = new URLSearchParams({ Version: '2010-05-08', UserName: 'loci', ...action })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const response = await nobody.fetch(`${url}/`, { method: 'POST', headers, body: body.toString() })
    const text = await response.text()
    if (!response.ok) throw new Error(`${action['Action']}: ${response.status} ${text}`)
    return text
  }
  await ask({ Action: 'CreateUser' })
  const made = await ask({ Action: 'CreateAccessKey' })
  await ask({ Action: 'PutUserPolicy', PolicyName: 'loci', PolicyDocument: JSON.stringify(POLICY) })
  const { status } = await fetch(`${url}/moto-api/reset-auth`, { method: 'POST', body: '0' })
  if (status !== 200) throw new Error(`the server does not check signatures: ${status}`)
  const part = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(made)?.[1] ?? ''
  return { accessKeyId: part('AccessKeyId'), secretAccessKey: part('SecretAccessKey') }
}

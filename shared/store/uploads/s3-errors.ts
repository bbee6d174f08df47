import type { AppError } from '../../schema/errors.ts'
import { unavailable } from '../sql/errors.ts'
import type { S3Settings } from './s3-settings.ts'
import { field } from './s3-xml.ts'

/** Where something failed. */
export interface S3Place {
  settings: S3Settings
  /** Of the object; empty for the bucket. */
  key: string
}

/** `bucket 'loci', key 'file-1' at https://s3.example.com` */
function placeOf({ settings: { endpoint, bucket }, key }: S3Place): string {
  return `bucket '${bucket}'${key === '' ? '' : `, key '${key}'`} at ${endpoint.origin}`
}

/** What the service's own codes mean, and what to do. */
const ADVICE: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket. Create it, or correct storage.s3.bucket.',
  InvalidAccessKeyId:
    'it does not know the access key. Correct storage.s3.access_key_id or AWS_ACCESS_KEY_ID.',
  SignatureDoesNotMatch:
    'it refuses the signature: the secret access key is another one. Correct storage.s3.secret_access_key or ' +
    'AWS_SECRET_ACCESS_KEY.',
  ExpiredToken: 'the session token has expired. Give Loci a new one, and start it again.',
  InvalidToken: 'it does not know the session token. Correct storage.s3.session_token or AWS_SESSION_TOKEN.',
  RequestTimeTooSkewed: 'the clock of this machine is wrong. Set it.',
  AccessDenied:
    'it refuses access. The credentials need s3:GetObject, s3:PutObject, s3:DeleteObject, s3:ListBucket and ' +
    's3:AbortMultipartUpload there.',
}

/** An answer that is none of those expected. */
export interface Refusal {
  status: number
  /** XML, or anything. */
  body: string
  /** Where the bucket is, if it is said. */
  region?: string | undefined
}

/** The error for such an answer. */
export function refusedBy(
  place: S3Place,
  { status, body, region = field(body, 'Region') ?? undefined }: Refusal,
): AppError {
  const code = field(body, 'Code') ?? ''
  const said = `${status}${code === '' ? '' : ` ${code}`}`
  const elsewhere = [301, 307].includes(status) || code === 'AuthorizationHeaderMalformed'
  const advice =
    ADVICE[code] ??
    (elsewhere
      ? `the bucket is elsewhere. Set storage.s3.region${region === undefined ? ' or storage.s3.endpoint' : ` to '${region}'`}.`
      : status === 403
        ? ADVICE['AccessDenied']
        : `it answers ${said}${field(body, 'Message') === null ? '' : ` (${field(body, 'Message')?.slice(0, 200)})`}.`)
  return unavailable(`Object storage, ${placeOf(place)}: ${advice} (HTTP ${said})`)
}

/** The error for a request that had no answer. */
export function unreachable(place: S3Place, error: unknown, timeout_ms: number): AppError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const text = cause instanceof Error ? cause.message : String(cause)
  return unavailable(`Object storage, ${placeOf(place)}: ${reasonOf()}`, error)

  function reasonOf(): string {
    if (error instanceof Error && error.name === 'TimeoutError')
      return `it did not answer within ${timeout_ms / 1000} s. Try again.`
    if (code === 'ECONNREFUSED') return 'nothing listens there. Start it, or correct storage.s3.endpoint.'
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
      return 'its host is not known. Correct storage.s3.endpoint, or set storage.s3.path_style where buckets have no host.'
    return `the connection failed (${text === '' ? code : text}). Try again.`
  }
}

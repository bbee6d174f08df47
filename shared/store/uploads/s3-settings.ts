import { AppError } from '../../schema/errors.ts'

/** Object storage as config.json names it; null where the environment is asked, or what is usual holds. */
export interface S3Config {
  endpoint: string | null
  bucket: string | null
  region: string | null
  prefix: string | null
  path_style: boolean | null
  access_key_id: string | null
  secret_access_key: string | null
  session_token: string | null
}

/** Object storage as it is used. */
export interface S3Settings {
  /** Where the service is, without the bucket. */
  endpoint: URL
  bucket: string
  region: string
  /** In front of every key: empty, or ending with `/`. */
  prefix: string
  /** The bucket is in the path, not in the host's name. */
  path_style: boolean
  access_key_id: string
  secret_access_key: string
  session_token: string | null
  /** How long one request may be without an answer, in milliseconds. */
  timeout_ms: number
  /** How often a request is made that fails without a fault of its own. */
  attempts: number
}

/** Time for a part of an upload over a slow line. */
const TIMEOUT_MS = 60_000
const ATTEMPTS = 4

/**
 * The object storage that is set up; null for none. What config.json leaves out comes from the environment: `LOCI_S3_…`,
 * and `AWS_…` for region and credentials. Throws `config_invalid` with what is missing or wrong.
 */
export function s3Settings(
  config: S3Config,
  env: Readonly<Record<string, string | undefined>>,
): S3Settings | null {
  const first = (...names: string[]) => names.map((name) => env[name]).find((value) => value) ?? null
  const bucket = config.bucket ?? first('LOCI_S3_BUCKET')
  if (bucket === null) return null
  if (!/^[A-Za-z0-9][\w.-]{1,254}$/.test(bucket)) throw wrong(`'${bucket}' is no name of a bucket`)
  const endpoint = config.endpoint ?? first('LOCI_S3_ENDPOINT')
  const region = config.region ?? first('LOCI_S3_REGION', 'AWS_REGION', 'AWS_DEFAULT_REGION') ?? 'us-east-1'
  const prefix = (config.prefix ?? first('LOCI_S3_PREFIX') ?? '').replace(/^\/+|\/+$/g, '')
  if (!/^[\w.-]*(?:\/[\w.-]+)*$/.test(prefix) || prefix.split('/').some((part) => /^\.+$/.test(part)))
    throw wrong(`the prefix '${prefix}' has other characters than letters, digits, '.', '_', '-' and '/'`)
  const access_key_id = config.access_key_id ?? first('LOCI_S3_ACCESS_KEY_ID', 'AWS_ACCESS_KEY_ID')
  const secret_access_key =
    config.secret_access_key ?? first('LOCI_S3_SECRET_ACCESS_KEY', 'AWS_SECRET_ACCESS_KEY')
  if (access_key_id === null || secret_access_key === null)
    throw wrong(
      `the bucket '${bucket}' has no credentials: set storage.s3.access_key_id and storage.s3.secret_access_key, or ` +
        'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    )
  return {
    endpoint: endpointOf(endpoint ?? `https://s3.${region}.amazonaws.com`),
    bucket,
    region,
    prefix: prefix === '' ? '' : `${prefix}/`,
    path_style: config.path_style ?? flag(first('LOCI_S3_PATH_STYLE')) ?? endpoint !== null,
    access_key_id,
    secret_access_key,
    session_token: config.session_token ?? first('LOCI_S3_SESSION_TOKEN', 'AWS_SESSION_TOKEN'),
    timeout_ms: TIMEOUT_MS,
    attempts: ATTEMPTS,
  }
}

function endpointOf(text: string): URL {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw wrong(`'${text}' is no address of an object storage; write it like https://s3.example.com`)
  if (url.username !== '' || url.password !== '')
    throw wrong(
      'credentials do not belong into its endpoint: set storage.s3.access_key_id and secret_access_key',
    )
  return url
}

function flag(text: string | null): boolean | null {
  if (text === null) return null
  if (/^(?:1|true|yes|on)$/i.test(text)) return true
  if (/^(?:0|false|no|off)$/i.test(text)) return false
  throw wrong(`LOCI_S3_PATH_STYLE=${text} is neither 1 nor 0`)
}

function wrong(what: string): AppError {
  return new AppError('config_invalid', `The object storage cannot be set up: ${what}.`)
}

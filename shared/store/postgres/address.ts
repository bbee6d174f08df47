import type { ClientConfig } from 'pg'
import { AppError } from '../../schema/errors.ts'
import { type AddressParts, directParts, placeOfParts, readParts, writeParts } from './address-parts.ts'
import { readTls, tlsForPg } from './address-tls.ts'

/** Connections of one instance: a turn needs one for some milliseconds a step. */
const POOL_SIZE = 10
/** A connection that nobody gives free in this time makes a 503, in milliseconds. */
const POOL_WAIT_MS = 5_000
/** How long a command is tried again while others are in its way, or the database is away, in milliseconds. */
const RETRY_MS = 10_000
/** No statement of Loci takes so long; one that does is ended by the server, in milliseconds. */
const STATEMENT_TIMEOUT_MS = 30_000
/** Who waits longer for a row that another transaction has is told so, in milliseconds. */
const LOCK_TIMEOUT_MS = 10_000
/** A database that lets nobody in by then stands still, or the way to it does. In milliseconds. */
const CONNECT_MS = 10_000
/** A statement that has no answer by then has none: the database or the way to it stands still. In milliseconds. */
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 2_000
/**
 * A transaction that waits for its process this long is ended, in milliseconds: one that is frozen must not keep its rows
 * from others. When it wakes it begins the transaction again.
 */
const IDLE_TIMEOUT_MS = 3_000

/** How a database is reached. */
export interface ConnectionSettings {
  /** Where it is, for people: without user and password. */
  place: string
  /** The same of `direct`. */
  direct_place: string
  /** The same for PostgreSQL's own programs, which ask for the password: without it, and without what only Loci knows. */
  tools: string
  pooled: ClientConfig
  /** For what needs a connection that stays its own. */
  direct: ClientConfig
  /** What the server ends by itself: parameters of a session, in milliseconds. */
  limits: Record<string, number>
  pool_size: number
  pool_wait_ms: number
  /** How long a command is tried again while others are in its way, or the database is away. */
  retry_ms: number
  /** Whether there may be a connection that stays: for hearing of changes, and for the lock of this process. */
  stays: boolean
  /** Whether statements are prepared by name; null when that is to be found out. */
  prepares: boolean | null
}

/**
 * Reads `postgres://user:password@host:port/database?…`, once: what is shown is what is connected to, and never part of
 * a password. Besides what libpq knows (`sslmode`, `host` for the folder of a socket): `pool`, connections of this
 * instance; `pool_wait_ms`; `retry_ms`; `listen=off` where no connection can stay; `direct`, another host:port of the same database,
 * past PgBouncer; and `prepare=on` or `off`. Throws `invalid_argument`.
 */
export function readAddress(
  text: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): ConnectionSettings {
  if (!/^postgres(?:ql)?:\/\//i.test(text.trim()))
    throw new AppError('invalid_argument', 'A store is postgres://user:password@host:port/database.')
  const base = readParts(text, env)
  const { options } = base
  const own = {
    pool: take('pool'),
    wait: take('pool_wait_ms'),
    retry: take('retry_ms'),
    listen: take('listen'),
    direct: take('direct'),
    prepare: take('prepare'),
  }
  readTls(options, base.host.startsWith('/') ? undefined : env['PGSSLMODE'])
  const direct = own.direct === null ? base : directParts(base, own.direct, text)
  const address = (parts: AddressParts) => writeParts({ ...parts, options: tlsForPg(options) })
  return {
    tools: writeParts({ ...base, password: '' }, /^\w+/.exec(text.trim())?.[0]),
    place: placeOfParts(base),
    direct_place: placeOfParts(direct),
    pooled: {
      connectionString: address(base),
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
      pipeline: true,
    },
    direct: {
      connectionTimeoutMillis: CONNECT_MS,
      pipeline: true,
      connectionString: address(direct),
    },
    limits: {
      lock_timeout: LOCK_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_TIMEOUT_MS,
    },
    pool_size: number('pool', own.pool, POOL_SIZE),
    pool_wait_ms: number('pool_wait_ms', own.wait, POOL_WAIT_MS),
    retry_ms: number('retry_ms', own.retry, RETRY_MS),
    stays: isOn('listen', own.listen) ?? true,
    prepares: isOn('prepare', own.prepare),
  }

  function take(name: string): string | null {
    const value = options.get(name)
    options.delete(name)
    return value
  }
}

function isOn(name: string, text: string | null): boolean | null {
  if (text === null) return null
  if (text === 'on' || text === 'off') return text === 'on'
  throw new AppError(
    'invalid_argument',
    `${name}=${shown(text)} in the store's address is neither on nor off.`,
  )
}

function number(name: string, text: string | null, otherwise: number): number {
  if (text === null) return otherwise
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new AppError(
    'invalid_argument',
    `${name}=${shown(text)} in the store's address is not a whole number above 0.`,
  )
}

function shown(value: string): string {
  return /^[\w.-]{0,20}$/.test(value) ? value : '…'
}

import { AppError, isAppError, messageOf } from '../../schema/errors.ts'
import { unavailable } from '../sql/errors.ts'

/** SQLSTATE of an error of the server, or the system's code of one of the network; null for any other error. */
function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

/** Nobody answered in the time that `query_timeout` gives; the connection is closed then. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof Error && /query read timeout/i.test(error.message)
}

/** A connection that was not made in the time that `connectionTimeoutMillis` gives: words of pg, and of its pool. */
export function isNotLetIn(error: unknown): boolean {
  return error instanceof Error && /^timeout expired$|due to connection timeout/i.test(error.message)
}

/** Serialization failure and deadlock: the same transaction succeeds when it is tried again. */
export function isConflict(error: unknown): boolean {
  const code = codeOf(error)
  return code === '40001' || code === '40P01'
}

/** Others held what a statement wanted for as long as it may wait. */
export function isLockTimeout(error: unknown): boolean {
  return codeOf(error) === '55P03'
}

/** A rule was broken that the transaction had looked at before: another one was faster, which it sees when it runs again. */
export function isDuplicate(error: unknown): boolean {
  return codeOf(error) === '23505'
}

/** A statement was prepared on another connection of the server than the one it came to, as poolers do it. */
export function isMisplaced(error: unknown): boolean {
  const code = codeOf(error)
  return code === '26000' || code === '42P05'
}

/**
 * Codes of a connection that ended, that was never made, and of one to a server which takes no writes: it is a replica
 * that is about to become the primary, or was it (25006; 0A000 is SERIALIZABLE on one, or a plan that a migration has
 * changed). 25P03 is a transaction that stood still.
 */
const LOST =
  /^(?:08|0A000|25006|25P03|57P0[1-5]|ECONN|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|EAI_AGAIN)/

/** The server itself has refused a statement, so nothing of its transaction was committed. */
export function isRefused(error: unknown): boolean {
  const code = codeOf(error)
  return code === '25006' || code === '0A000'
}

/** The connection is gone, or of no use: what it had not committed never was. */
export function isLost(error: unknown): boolean {
  const code = codeOf(error)
  if (code !== null) return LOST.test(code)
  return (
    error instanceof Error &&
    /connection (?:terminated|error)|not queryable|client was closed|query read timeout|^timeout expired$/i.test(
      error.message,
    )
  )
}

/** Says in words what PostgreSQL or the network refused at `place`; errors that are not theirs come back as they are. */
export function asStoreError(error: unknown, place: string): unknown {
  if (isAppError(error)) return error
  const code = codeOf(error)
  const text = messageOf(error)
  if (code === '54000') return tooLong(error, text)
  const advice = tlsAdvice(code, text) ?? (code === null ? null : adviceFor(code, text))
  if (advice !== null) return unavailable(`The database ${place} cannot be used: ${advice}`, error)
  if (isNotLetIn(error))
    return unavailable(
      `The database ${place} cannot be used: it accepts connections and does not answer, or cannot be reached. See whether ` +
        'it hangs, whether a firewall or proxy is in the way, and whether the address is right.',
      error,
    )
  if (isUnanswered(error))
    return unavailable(
      `The database ${place} does not answer: it stands still, or the way to it does. See whether its machine, its disk ` +
        'and the network work, and try again.',
      error,
    )
  if (isLost(error))
    return unavailable(`The connection to the database ${place} was lost (${text}). Try again.`, error)
  return error
}

/**
 * The same for an error of connecting. Whatever it is, the database cannot be used; what may be over in a moment comes
 * back as it is, to be tried again.
 */
export function asConnectError(error: unknown, place: string): unknown {
  if (isLost(error)) return error
  const said = asStoreError(error, place)
  if (isAppError(said)) return said
  const text = messageOf(error)
  const why = /password must be a/i.test(text)
    ? 'it asks for a password, and has none from the address, PGPASSWORD or ~/.pgpass'
    : `there is no connection (${text})`
  return unavailable(`The database ${place} cannot be used: ${why}.`, error)
}

/** The same for the first connection: nobody has shown yet that PostgreSQL is what listens there. */
export function asOpenError(error: unknown, place: string): unknown {
  if (codeOf(error) === null && /^connection terminated unexpectedly$/i.test(messageOf(error)))
    return unavailable(
      `The database ${place} cannot be used: what listens there closes the connection without a word of PostgreSQL. See ` +
        'whether host and port are right, and whether a proxy on the way has a database behind it.',
      error,
    )
  return asStoreError(asConnectError(error, place), place)
}

/** An index of PostgreSQL takes about 2,700 bytes: names, labels, tags and keys can be longer than that in other scripts. */
function tooLong(cause: unknown, text: string): AppError {
  return new AppError(
    'invalid_argument',
    `A name, label, tag, key or project id is longer than PostgreSQL can index (${text}). Shorten it to 600 characters.`,
    { cause },
  )
}

/** Whether this user may not do it. */
export function isForbidden(error: unknown): boolean {
  return codeOf(isAppError(error) ? error.cause : error) === '42501'
}

/** Whether the server had no room for what it was to write. */
export function isFull(error: unknown): boolean {
  const code = codeOf(isAppError(error) ? error.cause : error)
  return code === '53100' || code === '58030'
}

/** What a command that writes is told by a server that takes no writes. */
export const READ_ONLY =
  'it takes no writes: it is a read-only replica, or was set read-only. Point Loci to the primary.'

/** What is wrong with TLS, in the words of Node, OpenSSL and pg; null for what is not about it. */
function tlsAdvice(code: string | null, text: string): string | null {
  if (/server does not support SSL/i.test(text))
    return 'it has no TLS, which sslmode in the address asks for. Switch it on there (ssl = on), or write sslmode=disable.'
  if (code === null) return null
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return (
      `its certificate is of another host (${text}). Give the name that it has in the address, or write sslmode=verify-ca ` +
      'with sslrootcert=FILE, which does not look at the name.'
    )
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return `its certificate is not valid today (${text}). Renew it, or set the clock.`
  if (/^(?:DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(?:GET_ISSUER|VERIFY)|CERT_|INVALID_CA)/.test(code))
    return (
      `its certificate is signed by nobody that is trusted here (${text}). Name the certificate of its authority in the ` +
      'address: sslrootcert=FILE; sslmode=require encrypts and verifies nothing.'
    )
  if (/^ERR_(?:SSL|OSSL|TLS|CRYPTO)/.test(code))
    return `no TLS connection came to be (${text}). Look at sslmode, sslrootcert, sslcert and sslkey in the address.`
  return null
}

function adviceFor(code: string, text: string): string | null {
  switch (code) {
    case 'ENOENT':
      if (/\bopen\b/.test(text)) return `a file that it names is not there (${text}). Correct the address.`
      return adviceFor('ECONNREFUSED', text)
    case 'ECONNREFUSED':
      return 'nothing listens there. Start PostgreSQL, or correct the address.'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its host is not known. Correct the address.'
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
    case 'ENETUNREACH':
    case 'ENETDOWN':
    case 'ETIMEDOUT':
      return 'its machine cannot be reached. Correct the address, or look at the network.'
    case '28P01':
      return `it refuses the user or password (${text}).`
    case '28000':
      if (!/pg_hba/.test(text)) return adviceFor('28P01', text)
      return (
        `it lets this user, machine or kind of connection not in (${text}). Look at its pg_hba.conf, and at sslmode in the ` +
        'address.'
      )
    case '3F000':
      return `${text}. Create that schema, or correct search_path in the address (options) or of the user.`
    case '55000':
      // Of a statement it is a mistake of Loci's.
      return /not (?:currently )?accepting connections/i.test(text)
        ? `${text}. ALTER DATABASE … ALLOW_CONNECTIONS true.`
        : null
    case '3D000':
      return `${text}. Create it first: createdb.`
    case '42501':
      return /for schema|for database/.test(text)
        ? `${text}. Give Loci's user the right to create in that schema, or a database of its own.`
        : `${text}. Make Loci's user the owner of its tables, or GRANT it ALL ON ALL TABLES, and ALL SEQUENCES, IN SCHEMA ….`
    case '42P01':
      return (
        `a table of Loci is not there (${text}). Restore the database from its backup; in an empty one a server makes its ` +
        'tables when it starts.'
      )
    case '53000':
    case '53200':
    case '53400':
      return `it has not enough memory, or a limit of it is reached (${text}). Try again.`
    case '53300':
      if (/for (?:role|database)/.test(text))
        return `${text}. Raise that limit (CONNECTION LIMIT), or make the pool smaller (?pool=5 in the address).`
      return 'it has no connection free. Raise its max_connections, or put PgBouncer in front of it.'
    case '53100':
    case '58030':
      return `its disk is full or broken (${text}). Nothing acknowledged is lost.`
    case '57P01':
    case '57P02':
    case '57P03':
      return `it is starting or stopping (${text}). Try again.`
    case '25006':
      return READ_ONLY
    case '0A000':
      return /standby/i.test(text) ? READ_ONLY : `PostgreSQL says: ${text}.`
    case '57014':
    case '55P03':
      return `a statement took too long (${text}), and nothing was written. Try again.`
    case '08P01':
      return `the pooler before it says: ${text}.`
    case '40001':
    case '40P01':
      return 'too many changed the same thing at once, and nothing was written. Try again.'
    default:
      // Of the server, its connections and its resources: no statement is to blame.
      return /^(?:08|28|3D|53|57|58)/.test(code) ? `PostgreSQL says: ${text}.` : null
  }
}

/**
 * The pool gave out no connection in time: 503, to be tried again. `answered`: whether the database answers at all.
 */
export function poolExhausted(
  place: string,
  { size, waited_ms, answered }: { size: number; waited_ms: number; answered: boolean },
  cause: unknown,
): AppError {
  // Not too few connections, but nothing that comes over them.
  if (!answered)
    return unavailable(
      `The database ${place} does not answer: what it was asked over ${size} connections had no answer in ` +
        `${waited_ms / 1000} seconds, and a new connection none either. See whether its machine, its disk and the network work, and try again.`,
      cause,
    )
  return unavailable(
    `None of the ${size} connections to the database ${place} became free in ${waited_ms / 1000} seconds. Try again in a ` +
      'moment; if it stays so, start another instance, or give this one a larger pool (?pool=20 in the address).',
    cause,
  )
}

/** PgBouncer had no connection free in time: 503, to be tried again. */
export function poolerExhausted(place: string, waited_ms: number, cause: unknown): AppError {
  return unavailable(
    `The pooler of the database ${place} had no connection free in ${waited_ms / 1000} seconds. Try again in a moment; if ` +
      'it stays so, raise its pool (default_pool_size of PgBouncer).',
    cause,
  )
}

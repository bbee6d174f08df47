import { AppError } from '../../schema/errors.ts'

/** What an address says, decoded. */
export interface AddressParts {
  user: string
  password: string
  /** A name or IP address without brackets, or the folder of a socket. */
  host: string
  /** '' for the usual one. */
  port: string
  database: string
  /** All the rest. */
  options: URLSearchParams
}

/** What Loci and `pg` follow. */
const KNOWN = new Set(
  (
    'application_name fallback_application_name client_encoding options replication ssl requiressl sslmode sslcert ' +
    'sslkey sslrootcert sslnegotiation uselibpqcompat pool pool_wait_ms retry_ms listen direct prepare'
  ).split(' '),
)
/** What libpq knows besides, and providers write into their addresses: without it nothing is less safe. */
const HARMLESS = new Set(
  (
    'channel_binding connect_timeout gssencmode keepalives keepalives_idle keepalives_interval keepalives_count ' +
    'krbsrvname load_balance_hosts sslcompression sslsni target_session_attrs tcp_user_timeout'
  ).split(' '),
)
/** What other programs put into addresses that providers give (Prisma, Supabase): it is about those programs alone. */
const OF_OTHERS = new Set(
  'connection_limit pgbouncer pool_timeout socket_timeout statement_cache_size supa workaround'.split(' '),
)

function unreadable(why = ''): AppError {
  return new AppError(
    'invalid_argument',
    `The store's address cannot be read${why}; it is postgres://user:password@host:port/database. Special characters of the ` +
      'user, the password and the database are written as %40 for @, %2F for /, %3A for :, %3F for ?, %23 for # and %25 for %.',
  )
}

/** What stands there is not shown: it may be the beginning of a password. */
const NO_PORT = ': its port is no number from 1 to 65,535'

/**
 * Takes an address to pieces; what it leaves out comes from PGHOST, PGPORT, PGUSER and PGDATABASE. An @ after the host is
 * refused: it is the one of a password that has an unescaped / ? or #, whose rest would be taken for host and database.
 * No error has any of it but the name of an option. Throws `invalid_argument`.
 */
export function readParts(text: string, env: Readonly<Record<string, string | undefined>>): AddressParts {
  const [, authority = null, path = '', query = '', hash = ''] =
    /^postgres(?:ql)?:\/\/([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/is.exec(text.trim()) ?? []
  if (authority === null || hash !== '' || /@/.test(path + query)) throw unreadable()
  const at = authority.lastIndexOf('@')
  const [user = '', ...secret] = authority.slice(0, Math.max(at, 0)).split(':')
  const options = new URLSearchParams(query)
  const take = (name: string) => {
    const value = options.get(name) ?? ''
    options.delete(name)
    return value
  }
  const place = authority.slice(at + 1)
  const written = readHost(place)
  if (written === null) throw unreadable(/^[^:]+:[^:]+$/.test(place) ? NO_PORT : '')
  const parts = {
    user: take('user') || decoded(user) || (env['PGUSER'] ?? ''),
    password: take('password') || decoded(secret.join(':')),
    host: take('host') || written.host || env['PGHOST'] || 'localhost',
    port: take('port') || written.port || (env['PGPORT'] ?? ''),
    database: decoded(path.slice(1)) || (env['PGDATABASE'] ?? ''),
    options,
  }
  if (parts.host.includes(',')) throw severalHosts()
  if (!isPort(parts.port)) throw unreadable(NO_PORT)
  if (!isHost(parts.host) || /[?#\p{Cc}]/u.test(parts.database)) throw unreadable()
  for (const [name, value] of new URLSearchParams(options))
    if (OF_OTHERS.has(name) || (name === 'schema' && value === 'public')) options.delete(name)
    else if (!KNOWN.has(name) && !HARMLESS.has(name))
      throw new AppError(
        'invalid_argument',
        `The store's address has an option${/^\w{1,40}$/.test(name) ? ` ${name}` : ''} that Loci does not know, or does ` +
          'not follow. Take it out, or correct its name.',
      )
  return parts
}

/**
 * The same address with `direct=host:port` in it. Where the address names the folder of a socket and the same host, it is
 * another port of that folder. Throws `invalid_argument`.
 */
export function directParts(parts: AddressParts, direct: string, text: string): AddressParts {
  const there = readHost(direct.startsWith('/') ? direct.replaceAll('/', '%2F') : direct)
  if (!there || there.host === '' || !isHost(there.host) || !isPort(there.port))
    throw new AppError(
      'invalid_argument',
      "direct= in the store's address is not host:port. It names no user, password or database: they are the same.",
    )
  const written = readHost(/^\w+:\/\/(?:[^/?]*@)?([^/?]*)/.exec(text.trim())?.[1] ?? '')
  const same = parts.host.startsWith('/') && there.host === (written?.host || 'localhost')
  return { ...parts, host: same ? parts.host : there.host, port: there.port }
}

/** Writes an address that `pg` and libpq read as these parts. */
export function writeParts(
  { user, password, host, port, database, options }: AddressParts,
  scheme = 'postgres',
): string {
  const rest = new URLSearchParams(options)
  const name = host.includes(':') ? `[${host}]` : host
  const folder = host.startsWith('/')
  if (folder) rest.set('host', host)
  const query = rest.toString()
  const who = encodeURIComponent(user) + (password === '' ? '' : `:${encodeURIComponent(password)}`)
  return (
    `${scheme}://${who === '' ? '' : `${who}@`}${folder ? 'localhost' : name}${port === '' ? '' : `:${port}`}/` +
    // `pg` decodes nothing of a database that `encodeURI` would not encode.
    `${encodeURI(database)}${query === '' ? '' : `?${query}`}`
  )
}

/** Where it is, for people: host and port, or the folder of the socket, and the database. */
export function placeOfParts({ host, port, database, user }: AddressParts): string {
  const name = host.includes(':') ? `[${host}]` : host
  return `${name}${port === '' ? '' : `:${port}`}/${database === '' ? user : database}`
}

function readHost(text: string): { host: string; port: string } | null {
  if (text.includes(',')) throw severalHosts()
  const [, host = null, port = ''] = /^(\[[\da-f:.]+\]|[^:[\]]*)(?::(\d*))?$/i.exec(text) ?? []
  return host === null ? null : { host: decoded(host).replace(/^\[(.+)\]$/, '$1'), port }
}

function isHost(host: string): boolean {
  return /^\/[^\p{Cc}]*$/u.test(host) || /^[\p{L}\p{N}._:-]+$/u.test(host)
}

function isPort(port: string): boolean {
  return port === '' || (/^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) < 65_536)
}

function severalHosts(): AppError {
  return new AppError(
    'invalid_argument',
    "The store's address names several hosts, and takes one: give it a name of DNS or a proxy that leads to the primary.",
  )
}

/** A % that begins no escape is one, as `pg` reads it. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll(/%(?![\da-f]{2})/gi, '%25'))
  } catch {
    throw unreadable()
  }
}

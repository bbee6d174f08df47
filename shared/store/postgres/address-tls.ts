import { AppError } from '../../schema/errors.ts'

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']

/**
 * Writes what an address says of TLS as libpq means it (its documentation, "SSL Support"): `require` encrypts and verifies
 * nothing, but the authority where `sslrootcert` names one; `verify-ca` verifies the authority, `verify-full` the host
 * too. `allow` and `prefer` are TLS that verifies nothing, and never without. What only `pg` knows is translated
 * (`no-verify`, `ssl=true`). `sslrootcert=system`, and none, are the authorities that Node knows. PGSSLMODE counts where
 * the address says nothing. Throws `invalid_argument`.
 */
export function readTls(options: URLSearchParams, usual: string | undefined): void {
  const take = (name: string) => {
    const value = options.get(name)
    options.delete(name)
    return value
  }
  take('uselibpqcompat')
  const named = take('sslmode') ?? modeOfPg(take('ssl')) ?? (take('requiressl') === '1' ? 'require' : null)
  for (const name of ['ssl', 'requiressl']) options.delete(name)
  const files = ['sslrootcert', 'sslcert', 'sslkey'].some((name) => options.has(name))
  const said = named ?? (files ? 'verify-full' : usual || null)
  if (said === null) return
  if (said === 'no-verify' || said === 'disable') options.delete('sslrootcert')
  const mode = said === 'no-verify' ? 'require' : said
  if (!MODES.includes(mode))
    throw new AppError(
      'invalid_argument',
      `sslmode in the store's address is none of ${MODES.join(', ')}: take verify-full, or require where nothing is to be verified.`,
    )
  const root = options.get('sslrootcert')
  if (mode === 'verify-ca' && (root === null || root === 'system'))
    throw new AppError(
      'invalid_argument',
      "sslmode=verify-ca in the store's address needs sslrootcert=FILE, the certificate of the authority that signed the " +
        "server's; where it is one that everybody knows, take sslmode=verify-full.",
    )
  if (root === 'system' && mode !== 'verify-full')
    throw new AppError(
      'invalid_argument',
      "sslrootcert=system in the store's address goes with sslmode=verify-full only, as anybody can have a certificate of " +
        'the authorities that everybody knows.',
    )
  options.set('sslmode', mode === 'allow' ? 'prefer' : mode)
}

/** The same for `pg`, which has to be told that libpq's meaning is meant. */
export function tlsForPg(options: URLSearchParams): URLSearchParams {
  const told = new URLSearchParams(options)
  if (told.get('sslrootcert') === 'system') told.delete('sslrootcert')
  if (told.has('sslmode')) told.set('uselibpqcompat', 'true')
  return told
}

function modeOfPg(ssl: string | null): string | null {
  if (ssl === null) return null
  if (ssl === 'true' || ssl === '1') return 'verify-full'
  if (ssl === 'false' || ssl === '0') return 'disable'
  return ssl
}

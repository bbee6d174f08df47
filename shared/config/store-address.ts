import { AppError } from '../schema/errors.ts'
import { referenceIn } from './config.ts'
import type { ConfigData } from './schema.ts'

/**
 * The database that agents are kept in: what was `given`, else `LOCI_STORE`, else `store.address` of config.json; null: the
 * data directory. Throws `config_invalid` when config.json names a variable that is not set: another store is not what is
 * meant.
 */
export function storeAddress(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  { path, stored }: { path: string; stored: Pick<ConfigData, 'store'> },
): string | null {
  const said = given ?? (env['LOCI_STORE'] || null)
  if (said !== null) return said
  const { address } = stored.store
  const variable = referenceIn(address ?? '')
  if (variable === null) return address
  const value = env[variable]
  if (value) return value
  throw new AppError(
    'config_invalid',
    `${path}: store.address is in the variable ${variable}, which is not set here. Set it, or LOCI_STORE.`,
    { data: { path } },
  )
}

/** A store's address without user and password, for people. */
export function withoutSecrets(address: string): string {
  return (
    address
      // Up to the last one: an unescaped / or ? may be of a password.
      .replace(/^(\w+:\/\/).*@/s, '$1***@')
      .replace(/([?&](?:password|sslpassword)=)[^&]*/g, '$1***')
  )
}

import { isAppError } from '../../schema/errors.ts'
import type { SecretKeys } from '../secret-box.ts'
import { contextOf } from './agent-secrets.ts'
import type { Row } from './copy-rows.ts'
import { consentOf } from './mcp-servers.ts'

/** A column that holds an encrypted value, the one that names its key, and what the value is bound to. */
interface Sealed {
  value: string
  key: string
  context: (row: Row) => string
}

/** Everything in a store that is encrypted. */
const SEALED: Readonly<Record<string, readonly Sealed[]>> = {
  agent_secrets: [
    {
      value: 'value',
      key: 'key_id',
      context: (row) => contextOf(String(row['agent_id']), String(row['name'])),
    },
  ],
  mcp_servers: [
    { value: 'secret', key: 'secret_key', context: (row) => String(row['id']) },
    { value: 'credentials', key: 'credentials_key', context: (row) => consentOf(String(row['id'])) },
  ],
}

/** The tables that hold encrypted values. */
export const SEALED_TABLES: readonly string[] = Object.keys(SEALED)

/** How many values of a row these keys open, and the names of the keys of those that they do not. */
export function opens(table: string, row: Row, keys: SecretKeys): { opened: number; missing: string[] } {
  const present = (SEALED[table] ?? []).filter(({ value }) => row[value] !== null)
  const missing = present.filter((sealed) => textOf(row, sealed, keys) === null)
  return { opened: present.length - missing.length, missing: missing.map(({ key }) => String(row[key])) }
}

/** The row with its values encrypted by other keys; what `from` cannot open stays as it is. */
export function resealed(table: string, row: Row, from: SecretKeys, to: SecretKeys): Row {
  const changed = { ...row }
  for (const sealed of SEALED[table] ?? []) {
    const text = textOf(row, sealed, from)
    if (text === null) continue
    const { key_id, data } = to.seal(text, sealed.context(row))
    changed[sealed.key] = key_id
    changed[sealed.value] = new Uint8Array(data)
  }
  return changed
}

/** An encrypted value as it is compared. */
export interface Secret {
  key_id: string
  /** What it says; null when the key is not here, or does not open it. */
  text: string | null
  /** Whether its key is here. */
  known: boolean
  /** As it lies in the store. */
  data: Uint8Array
}

/** A row as it is compared: without its encrypted values, which look different each time, and these apart. */
export function comparable(
  table: string,
  row: Row,
  keys: SecretKeys,
): { row: Row; secrets: (Secret | null)[] } {
  const sealed = SEALED[table] ?? []
  if (sealed.length === 0) return { row, secrets: [] }
  const rest = { ...row }
  const secrets = sealed.map((one) => {
    const data = row[one.value]
    if (!(data instanceof Uint8Array)) return null
    rest[one.value] = null
    rest[one.key] = null
    const key_id = String(row[one.key])
    return { key_id, text: textOf(row, one, keys), known: keys.has(key_id), data }
  })
  return { row: rest, secrets }
}

/** Whether two encrypted values say the same; null when nobody can tell, as a key is not here. */
export function sameSecret(a: Secret | null, b: Secret | null): boolean | null {
  if (a === null || b === null) return a === b
  if (a.key_id === b.key_id && Buffer.compare(a.data, b.data) === 0) return true
  if (a.known && b.known) return a.text !== null && a.text === b.text
  return null
}

/** What a column says; null when there is nothing in it, or these keys do not open it. */
function textOf(row: Row, { value, key, context }: Sealed, keys: SecretKeys): string | null {
  const data = row[value]
  if (!(data instanceof Uint8Array)) return null
  try {
    return keys.open({ key_id: String(row[key]), data }, context(row))
  } catch (error) {
    if (isAppError(error, 'secrets_unreadable')) return null
    throw error
  }
}

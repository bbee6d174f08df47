import * as z from 'zod'
import { AppError } from '../schema/errors.ts'
import { didYouMean, nearNames } from '../schema/near-names.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { referenceIn } from './config.ts'
import { type ConfigData, configSchema, provider } from './schema.ts'
import { withoutSecrets } from './store-address.ts'

/** One setting that was changed, for people: secrets are masked. */
export interface Change {
  key: string
  before: string
  after: string
}

/**
 * Sets the value at a dotted key (`server.port`, `providers.NAME.base_url`) in place. `text` is JSON, or a string where
 * the setting is one, or a list with commas. Throws `invalid_argument` for an unknown key, naming those there are, and
 * for a value that the setting cannot have.
 */
export function setValue(data: ConfigData, key: string, text: string): Change {
  const { parent, name, schema } = find(data, key)
  const value = read(schema, key, text)
  const before = parent[name]
  if (value === undefined) delete parent[name]
  else parent[name] = value
  return { key, before: shown(key, before), after: shown(key, value) }
}

/** A provider that can be saved. Throws `invalid_argument` naming the field. */
export function parseProvider(value: unknown): ProviderConfig {
  const result = provider.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new AppError(
    'invalid_argument',
    `The provider's ${issue?.path.join('.') ?? 'description'}: ${issue?.message ?? 'not as expected'}.`,
  )
}

interface Place {
  parent: Record<string, unknown>
  name: string
  schema: z.ZodType
}

function find(data: ConfigData, key: string): Place {
  let at: Record<string, unknown> = data
  let schema: z.ZodType = configSchema
  let rest = key
  let path = ''
  if (rest.startsWith('providers.')) {
    const provider = data.providers.find(({ name }) => rest.startsWith(`providers.${name}.`))
    if (!provider) {
      const names = data.providers.map(({ name }) => `'${name}'`).join(', ')
      throw new AppError(
        'invalid_argument',
        `'${key}' names no provider of config.json (${names === '' ? 'it has none' : `it has ${names}`}); add one with: loci connect NAME`,
      )
    }
    at = provider
    path = `providers.${provider.name}`
    rest = rest.slice(path.length + 1)
    schema = elementOf(configSchema.shape.providers)
  }
  const names = rest.split('.')
  for (const [i, name] of names.entries()) {
    const inner = fieldOf(schema, name)
    path = path === '' ? name : `${path}.${name}`
    if (!inner) throw unknown(key, path)
    schema = inner
    const last = i === names.length - 1
    if (last && !isGroup(inner)) return { parent: at, name, schema }
    if (last) break
    const next = at[name]
    at = isObject(next) ? next : (at[name] = {})
  }
  const keys = knownKeys().filter((known) => known.startsWith(`${path}.`))
  const hint = path === 'providers' ? 'loci connect NAME adds one' : `set one of ${keys.join(', ')}`
  throw new AppError('invalid_argument', `'${key}' is a group of settings: ${hint}.`)
}

function read(schema: z.ZodType, key: string, text: string): unknown {
  const candidates: unknown[] = []
  try {
    candidates.push(JSON.parse(text))
  } catch {
    // Not JSON: a plain word.
  }
  candidates.push(text)
  if (unwrap(schema) instanceof z.ZodArray) candidates.push(text.split(',').map((item) => item.trim()))
  let problem: string | undefined
  for (const candidate of candidates) {
    const result = schema.safeParse(candidate)
    if (result.success) return result.data
    problem ??= result.error.issues[0]?.message
  }
  throw new AppError(
    'invalid_argument',
    `${key} cannot be set to this value: ${problem ?? 'not as expected'}.`,
  )
}

function unknown(key: string, path: string): AppError {
  const known = knownKeys()
  const where = key === path ? '' : ` ('${path}' is not one)`
  const hint =
    nearNames(key, known).length > 0
      ? didYouMean(key, known, '')
      : `There are: ${known.join(', ')}, and providers.NAME.FIELD.`
  return new AppError('invalid_argument', `There is no setting '${key}'${where}. ${hint}`)
}

/** Every key outside of `providers` that can be set, dotted. */
function knownKeys(schema: z.ZodType = configSchema, prefix = ''): string[] {
  const inner = unwrap(schema)
  if (!(inner instanceof z.ZodObject)) return [prefix]
  return Object.entries(inner.shape as Record<string, z.ZodType>)
    .filter(([name]) => prefix !== '' || name !== 'providers')
    .flatMap(([name, field]) => knownKeys(field, prefix === '' ? name : `${prefix}.${name}`))
}

/** Keys of the data that this Loci does not read: of a newer one, or mistyped. Dotted, lists as `[0]`. */
export function unknownKeys(data: unknown, schema: z.ZodType = configSchema, prefix = ''): string[] {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodArray && Array.isArray(data)) {
    return data.flatMap((item, i) => unknownKeys(item, elementOf(inner), `${prefix}[${i}]`))
  }
  if (!(inner instanceof z.ZodObject) || !isObject(data)) return []
  return Object.entries(data).flatMap(([name, value]) => {
    const field = (inner.shape as Record<string, z.ZodType>)[name]
    const path = prefix === '' ? name : `${prefix}.${name}`
    return field ? unknownKeys(value, field, path) : [path]
  })
}

/** The settings without their secrets: keys, headers and passwords in URLs. References to the environment stay. */
export function masked(data: ConfigData): ConfigData {
  const providers = data.providers.map((provider) => ({
    ...provider,
    base_url: withoutPassword(provider.base_url),
    ...(provider.api_key ? { api_key: mask(provider.api_key) } : {}),
    ...(provider.headers
      ? { headers: Object.fromEntries(Object.entries(provider.headers).map(([k, v]) => [k, mask(v)])) }
      : {}),
  }))
  const { s3 } = data.storage
  const hidden = (text: string | null) => text && mask(text)
  const storage = {
    ...data.storage,
    s3: {
      ...s3,
      secret_access_key: hidden(s3.secret_access_key),
      session_token: hidden(s3.session_token),
    },
  }
  const { address } = data.store
  return {
    ...data,
    providers,
    storage,
    store: { ...data.store, address: address === null ? null : withoutSecrets(address) },
  }
}

/** A secret's last four characters at most; a reference is none. */
export function mask(secret: string): string {
  if (referenceIn(secret) !== null) return secret
  return secret.length >= 16 ? `***${secret.slice(-4)}` : '***'
}

function shown(key: string, value: unknown): string {
  if (value === undefined) return 'not set'
  if (typeof value !== 'string') return JSON.stringify(value)
  if (/^providers\..*\.(api_key$|headers\.)|^storage\.s3\.(secret_access_key|session_token)$/.test(key))
    return mask(value)
  if (key === 'store.address') return withoutSecrets(value)
  return key.endsWith('.base_url') ? withoutPassword(value) : value
}

function withoutPassword(text: string): string {
  const url = URL.parse(text)
  if (!url || (url.username === '' && url.password === '')) return text
  url.username = '***'
  url.password = ''
  return url.href
}

function fieldOf(schema: z.ZodType, name: string): z.ZodType | undefined {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodRecord) return inner.valueType as z.ZodType
  if (!(inner instanceof z.ZodObject)) return undefined
  const shape = inner.shape as Record<string, z.ZodType>
  return Object.hasOwn(shape, name) ? shape[name] : undefined
}

function isGroup(schema: z.ZodType): boolean {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodArray) return unwrap(elementOf(inner)) instanceof z.ZodObject
  return inner instanceof z.ZodObject || inner instanceof z.ZodRecord
}

function elementOf(schema: z.ZodType): z.ZodType {
  const inner = unwrap(schema)
  return inner instanceof z.ZodArray ? (inner.element as z.ZodType) : inner
}

/** The schema under its default, nullable and optional wrappings. */
function unwrap(schema: z.ZodType): z.ZodType {
  let at = schema
  while ('innerType' in at.def) at = at.def.innerType as z.ZodType
  return at
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** deploy/compose.yaml as Docker Compose reads it: merged, and with the variables of `.env` filled in. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'

export const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')

export interface Service {
  image: string
  environment?: Record<string, string>
  command?: string[]
  user?: string
  volumes?: string[]
  tmpfs?: string[]
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  stop_grace_period?: string
  restart?: string
  healthcheck: { test: string[]; start_period?: string }
  mem_limit?: string
  shm_size?: string
  ulimits?: { nofile: number }
  depends_on?: Record<string, { condition: string }>
}

export interface ComposeFile {
  services: Record<'loci-1' | 'loci-2' | 'postgres' | 'nginx', Service>
  networks: Record<string, unknown>
  volumes: Record<string, unknown>
}

/** The file with these variables; throws what Compose would say when one that must be set is not, or empty. */
export async function readCompose(variables: Record<string, string>): Promise<ComposeFile> {
  const text = await readFile(join(DEPLOY, 'compose.yaml'), 'utf8')
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind, word: string) => {
        const given = variables[name] ?? ''
        if (given !== '') return given
        if (kind === '?') throw new Error(`${name}: ${word}`)
        return kind === '-' ? word : ''
      })
    if (Array.isArray(value)) return value.map(fill)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]))
  }
  return fill(parse(text, { merge: true })) as ComposeFile
}

/** `512m`, `2g` in bytes, as Compose and PostgreSQL mean it (`MB`, `GB`), and nginx. */
export function bytes(size: string): number {
  const [, number, unit] = /^(\d+)([mg])b?$/i.exec(size) ?? []
  if (number === undefined) throw new Error(`'${size}' is no size`)
  return Number(number) * 1024 ** (unit?.toLowerCase() === 'g' ? 3 : 2)
}

/** `30s`, `2m` in milliseconds. */
export function milliseconds(duration: string): number {
  const [, number, unit] = /^(\d+)(s|m)$/.exec(duration) ?? []
  if (number === undefined) throw new Error(`'${duration}' is no duration`)
  return Number(number) * (unit === 'm' ? 60_000 : 1_000)
}

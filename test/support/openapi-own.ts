/** What this Loci serves, read from its route definitions, in the form the contract's operations have. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import type { Route } from '../../shared/server/route.ts'
import type { Schema } from './openapi.ts'

const FOLDER = join(import.meta.dirname, '..', '..', 'shared', 'server', 'routes')

export interface OwnOperation {
  /** `METHOD path` with `{parameters}`. */
  name: string
  /** Query parameters by name, as the client sends them. */
  query: Record<string, Schema>
  /** The JSON body as the client sends it; null: none is read. */
  body: Schema | null
}

/** Every route of every noun, each once. */
export async function ownOperations(): Promise<OwnOperation[]> {
  const found = new Map<string, OwnOperation>()
  for (const file of readdirSync(FOLDER)) {
    const { routes } = (await import(join(FOLDER, file))) as { routes?: Route[] }
    for (const route of routes ?? []) {
      const name = `${route.method} ${route.path.replaceAll(/:(\w+)/g, '{$1}')}`
      const query = route.query ? schemaOf(route.query).properties : undefined
      found.set(name, { name, query: query ?? {}, body: route.body ? schemaOf(route.body) : null })
    }
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function schemaOf(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema
}

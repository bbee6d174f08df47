import * as z from 'zod'
import { VERSION } from '../schema/version.ts'
import { NOUNS, ROOTS } from './app.ts'
import { errorAnswers, errorComponents } from './openapi-errors.ts'
import type { Route } from './route.ts'

type Json = Record<string, unknown>

/** How routes beside `/v1` are headed. */
const TAGS: Record<string, string> = { agents: 'simple' }

/** The OpenAPI 3.1 document of every route, in the order of their paths. */
export async function openApiDocument(): Promise<Json> {
  const routes: { noun: string; route: Route }[] = []
  for (const [noun, load] of Object.entries(NOUNS))
    for (const route of (await load()).routes)
      // One module may serve two nouns.
      if (route.path.split('/')[2] === noun) routes.push({ noun, route })
  for (const [root, load] of Object.entries(ROOTS))
    for (const route of (await load()).routes)
      if (route.path.split('/')[1] === root) routes.push({ noun: TAGS[root] ?? root, route })
  const paths: Record<string, Json> = {}
  for (const { noun, route } of routes.toSorted((a, b) => compare(a.route.path, b.route.path))) {
    const path = wirePath(route.path)
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(noun, route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Loci',
      version: VERSION,
      description: 'Stateful agents on your own machine, with the API of the Letta V1 server.',
    },
    paths,
    components: {
      ...errorComponents(),
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
    security: [{}, { key: [] }],
  }
}

/** Ours, and those of V1's hosted service. */
const WITHOUT_SLASH = new Set(['/v1/events', '/v1/client-side-access-tokens', '/v1/templates'])

/** V1 writes the roots of its nouns with a slash at the end; both spellings are served. */
function wirePath(path: string): string {
  const braced = path.replaceAll(/:([a-z_]+)(?:\{[^}]*\})?/g, '{$1}')
  return /^\/v1\/[a-z-]+$/.test(braced) && !WITHOUT_SLASH.has(braced) ? `${braced}/` : braced
}

function operationOf(noun: string, route: Route): Json {
  const parameters = [...parametersOf('path', route.params), ...parametersOf('query', route.query)]
  return {
    operationId: route.operation ?? defaultId(route),
    tags: [noun],
    summary: route.summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body
      ? {
          requestBody: {
            required: route.optional_body !== true,
            content: { 'application/json': { schema: schemaOf(route.body, 'input') } },
          },
        }
      : {}),
    ...(route.form ? { requestBody: { required: true, content: formOf(route.form) } } : {}),
    responses: {
      [route.answer === 'empty' ? '204' : String(route.status ?? 200)]: answerOf(route),
      ...errorAnswers(route),
    },
  }
}

/** A multipart form with a file. */
function formOf(form: z.ZodType): Json {
  const { properties } = schemaOf(form, 'input') as { properties?: Json }
  const file = { type: 'string', format: 'binary' }
  const schema = { type: 'object', properties: { file, ...properties }, required: ['file'] }
  return { 'multipart/form-data': { schema } }
}

const EVENTS = { 'text/event-stream': {} }

function answerOf({ answer, lines, streams }: Route): Json {
  if (answer === 'empty') return { description: 'Done' }
  if (answer === 'event-stream') return { description: 'Server-sent events', content: EVENTS }
  const schema = answer === 'unknown' ? {} : schemaOf(answer, 'output')
  const streamed = lines ? { 'application/x-ndjson': { schema: schemaOf(lines, 'output') } } : {}
  return {
    description: 'Done',
    content: { 'application/json': { schema }, ...streamed, ...(streams ? EVENTS : {}) },
  }
}

function parametersOf(place: 'path' | 'query', schema: z.ZodType | undefined): Json[] {
  if (!schema) return []
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }))
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ zodSchema, jsonSchema }) => overrideQuery(zodSchema, jsonSchema),
  }) as Json
  return rest
}

/** Numbers and lists of a query are converted before they are checked: what is behind the conversion is what is meant. */
function overrideQuery(schema: z.core.$ZodTypes, json: Json): void {
  if (schema._zod.def.type !== 'pipe' || Object.keys(json).length > 0) return
  const { in: before, out } = schema._zod.def
  if (before._zod.def.type === 'transform')
    Object.assign(json, schemaOf(out as unknown as z.ZodType, 'input'))
}

function defaultId({ method, path }: Route): string {
  const words = path
    .split('/')
    .slice(2)
    .map((part) => part.replaceAll('-', '_').replace(/^:/, 'by_'))
  return [method.toLowerCase(), ...words].join('_')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

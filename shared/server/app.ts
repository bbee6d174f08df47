import { Hono } from 'hono'
import type { z } from 'zod'
import { AppError } from '../schema/errors.ts'
import { DEFAULT_ACTOR, type ServerContext } from './context.ts'
import { errorResponse, validationError } from './errors.ts'
import type { Route } from './route.ts'

/** Largest JSON body, in bytes. */
const MAX_BODY = 32 * 1024 * 1024

/** Routes by the noun after `/v1/`, each loaded when it is first asked for. */
const NOUNS: Record<string, () => Promise<{ routes: Route[] }>> = {
  agents: () => import('./routes/agents.ts'),
  blocks: () => import('./routes/blocks.ts'),
  events: () => import('./routes/events.ts'),
  health: () => import('./routes/health.ts'),
  models: () => import('./routes/models.ts'),
  ready: () => import('./routes/health.ts'),
  runs: () => import('./routes/runs.ts'),
  steps: () => import('./routes/steps.ts'),
  tags: () => import('./routes/tags.ts'),
  tools: () => import('./routes/tools.ts'),
}

export interface App {
  /** Answers a request. Never rejects. */
  fetch(request: Request): Promise<Response>
  /** Loads every route now: an update may replace the files that a long-running process would load later. */
  preload(): Promise<void>
}

/** The REST API as a function from Request to Response: the same for sockets, the in-process client and tests. */
export function createApp(context: ServerContext): App {
  const apps = new Map<string, Promise<Hono>>()
  const load = (noun: string) => {
    let app = apps.get(noun)
    if (!app) {
      const routes = NOUNS[noun]
      if (!routes) return null
      app = routes().then((module) => buildNoun(module.routes, context))
      apps.set(noun, app)
    }
    return app
  }
  return {
    async fetch(request) {
      try {
        const path = pathOf(request)
        const app = await load(path.split('/', 3)[2] ?? '')
        return app && path.startsWith('/v1/') ? await app.fetch(request) : noRoute(request)
      } catch (error) {
        return errorResponse(error, (e) => context.onFailure(`${request.method} ${pathOf(request)}`, e))
      }
    },
    async preload() {
      await Promise.all(Object.keys(NOUNS).map(async (noun) => load(noun)))
    },
  }
}

function buildNoun(routes: Route[], context: ServerContext): Hono {
  const app = new Hono({ getPath: pathOf })
  app.notFound((c) => noRoute(c.req.raw))
  app.onError((error, c) =>
    errorResponse(error, (e) => context.onFailure(`${c.req.method} ${pathOf(c.req.raw)}`, e)),
  )
  for (const route of routes)
    app.on(route.method, route.path, async (c) => {
      const answer = await route.handle({
        params: parse('path', route.params, c.req.param()),
        query: route.query ? parse('query', route.query, queryOf(c.req.queries())) : undefined,
        body: route.body ? parse('body', route.body, await bodyOf(c.req.raw, route)) : undefined,
        actor: DEFAULT_ACTOR,
        context,
        request: c.req.raw,
      })
      return answer instanceof Response ? answer : c.json((answer ?? null) as object)
    })
  return app
}

/** Path without a trailing slash; V1 serves everything a second time under `/latest`. */
function pathOf(request: Request): string {
  const url = request.url
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const query = url.indexOf('?', start)
  let path = start < 0 ? '/' : url.slice(start, query < 0 ? undefined : query)
  if (path.length > 1 && path.endsWith('/')) path = path.slice(0, -1)
  return path.startsWith('/latest/') ? `/v1/${path.slice('/latest/'.length)}` : path
}

function noRoute(request: Request): Response {
  return errorResponse(
    new AppError('not_found', `no route ${request.method} ${pathOf(request)}`),
    () => undefined,
  )
}

function queryOf(queries: Record<string, string[]>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(queries).map(([key, values]) => [key, values.length === 1 ? (values[0] ?? '') : values]),
  )
}

async function bodyOf(request: Request, route: Route): Promise<unknown> {
  const announced = Number(request.headers.get('content-length') ?? 0)
  if (announced > MAX_BODY) throw tooLarge(announced)
  const text = await request.text()
  if (text.length > MAX_BODY) throw tooLarge(text.length)
  if (text.trim() === '') {
    if (route.optional_body) return {}
    throw new AppError('validation', 'body: a JSON object is expected, and the request has no body')
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AppError(
      'validation',
      `body: not valid JSON: ${error instanceof Error ? error.message : 'unreadable'}`,
    )
  }
}

function tooLarge(bytes: number): AppError {
  return new AppError('too_large', `the request body has ${bytes} bytes; this server takes ${MAX_BODY}`)
}

function parse(where: 'path' | 'query' | 'body', schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return undefined
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw validationError(where, result.error)
}

import { Hono } from 'hono'
import * as z from 'zod'
import { AppError } from '../schema/errors.ts'
import { cleanText, readJson } from './body.ts'
import { type Access, demand, OWNER } from './access.ts'
import type { ServerContext } from './context.ts'
import { errorResponse, validationError } from './errors.ts'
import { inWordsOf } from './errors-in-words.ts'
import { requestId } from './request-id.ts'
import { answeredBy } from './route-of.ts'
import type { Route } from './route.ts'
import { demandScope, demandScoped } from './token-scope.ts'

/** Routes by the noun after `/v1/`, each loaded when it is first asked for. */
export const NOUNS: Record<string, () => Promise<{ routes: Route[] }>> = {
  admin: () => import('./routes/admin.ts'),
  agents: () => import('./routes/agents.ts'),
  archives: () => import('./routes/archives.ts'),
  blocks: () => import('./routes/blocks.ts'),
  chat: () => import('./routes/openai/chat.ts'),
  'client-side-access-tokens': () => import('./routes/access-tokens.ts'),
  conversations: () => import('./routes/conversations.ts'),
  editors: () => import('./routes/editors.ts'),
  embeddings: () => import('./routes/embeddings.ts'),
  events: () => import('./routes/events.ts'),
  files: () => import('./routes/files.ts'),
  folders: () => import('./routes/folders.ts'),
  groups: () => import('./routes/groups.ts'),
  health: () => import('./routes/health.ts'),
  identities: () => import('./routes/identities.ts'),
  jobs: () => import('./routes/jobs.ts'),
  'mcp-servers': () => import('./routes/mcp-servers.ts'),
  messages: () => import('./routes/messages.ts'),
  migration: () => import('./routes/migration.ts'),
  models: () => import('./routes/models.ts'),
  passages: () => import('./routes/passages.ts'),
  providers: () => import('./routes/providers.ts'),
  ready: () => import('./routes/health.ts'),
  runs: () => import('./routes/runs.ts'),
  sources: () => import('./routes/folders.ts'),
  steps: () => import('./routes/steps.ts'),
  tags: () => import('./routes/tags.ts'),
  templates: () => import('./routes/templates.ts'),
  telemetry: () => import('./routes/telemetry.ts'),
  tools: () => import('./routes/tools.ts'),
  usage: () => import('./routes/usage.ts'),
}

/** Routes beside `/v1`, by the first part of their path. */
export const ROOTS: Record<string, () => Promise<{ routes: Route[] }>> = {
  agents: () => import('./routes/simple/agents.ts'),
  anthropic: () => import('./routes/anthropic/anthropic.ts'),
  metrics: () => import('./routes/metrics.ts'),
  openai: () => import('./routes/openai/openai.ts'),
}

/** Paths of the hosted service alone that look like an id. */
const HOSTED_ONLY = new Set(['/v1/agents/search'])

export interface App {
  /** Answers a request, for the owner unless it is said for whom. Never rejects. */
  fetch(request: Request, access?: Access): Promise<Response>
  /** Loads every route now: an update may replace the files that a long-running process would load later. */
  preload: () => Promise<void>
}

/** The REST API as a function from Request to Response: the same for sockets, the in-process client and tests. */
export function createApp(context: ServerContext): App {
  const apps = new Map<() => Promise<{ routes: Route[] }>, Promise<Hono<Env>>>()
  const load = (routes: () => Promise<{ routes: Route[] }>) => {
    let app = apps.get(routes)
    if (!app) {
      app = routes().then((module) => buildNoun(module.routes, context))
      apps.set(routes, app)
    }
    return app
  }
  return {
    async fetch(request, access = OWNER) {
      try {
        const path = pathOf(request)
        if (HOSTED_ONLY.has(path)) return noRoute(request)
        const routes = routesAt(path)
        const answer = routes ? await (await load(routes)).fetch(request, { access }) : noRoute(request)
        return await inWordsOf(path, answer)
      } catch (error) {
        return failedAnswer(error, request, context)
      }
    },
    async preload() {
      await Promise.all([...Object.values(NOUNS), ...Object.values(ROOTS)].map(load))
    },
  }
}

/** What Hono carries from a request to its handler. */
interface Env {
  Bindings: { access: Access }
}

function routesAt(path: string): (() => Promise<{ routes: Route[] }>) | null {
  const [, root = '', noun = ''] = path.split('/', 3)
  const [table, key] = root === 'v1' ? [NOUNS, noun] : [ROOTS, root]
  return Object.hasOwn(table, key) ? (table[key] ?? null) : null
}

function buildNoun(routes: Route[], context: ServerContext): Hono<Env> {
  const app = new Hono<Env>({ getPath: pathOf })
  app.notFound((c) => wrongMethod(routes, c.req.raw) ?? noRoute(c.req.raw))
  app.onError((error, c) => failedAnswer(error, c.req.raw, context))
  for (const route of routes) {
    const words = wordsForIds(route, routes)
    app.on(route.method, route.path, async (c) => {
      const wrong = words.some((word) => word.test(pathOf(c.req.raw))) && wrongMethod(routes, c.req.raw)
      if (wrong) return wrong
      answeredBy(c.req.raw, route.path)
      const { access } = c.env
      const usual = route.method === 'GET' ? 'reader' : 'member'
      demand(access, route.demands ?? usual, `${route.method} ${route.path}`)
      const scoped = access.scope && demandScoped(route.scoped, `${route.method} ${route.path}`)
      const params = parse('path', route.params, cleaned(c.req.param()))
      const query = route.query
        ? parse('query', route.query, queryOf(c.req.queries(), route.query))
        : undefined
      const given = route.body ? await bodyOf(c.req.raw, route) : undefined
      const { actor } = access
      if (access.scope && scoped)
        await demandScope(access.scope, scoped, { actor, context, params, query, body: given })
      const answer = await route.handle({
        params,
        query,
        body: route.body ? parse('body', route.body, given) : undefined,
        actor,
        access,
        context,
        request: c.req.raw,
      })
      return answer instanceof Response ? answer : c.json((answer ?? null) as object, route.status ?? 200)
    })
  }
  return app
}

/** The answer for what was thrown; what is ours is told. */
export function failedAnswer(error: unknown, request: Request, context: ServerContext): Response {
  return errorResponse(error, {
    request_id: requestId(request),
    onFailure: (e) => context.onFailure(`${request.method} ${pathOf(request)}`, e, requestId(request)),
  })
}

/** Path without a trailing slash; V1 serves everything a second time under `/latest`. */
export function pathOf(request: Request): string {
  const url = request.url
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const query = url.indexOf('?', start)
  let path = start < 0 ? '/' : url.slice(start, query < 0 ? undefined : query)
  if (path.length > 1 && path.endsWith('/')) path = path.slice(0, -1)
  return path.startsWith('/latest/') ? `/v1/${path.slice('/latest/'.length)}` : path
}

function noRoute(request: Request): Response {
  const error = new AppError('not_found', `no route ${request.method} ${pathOf(request)}`)
  return errorResponse(error, { request_id: requestId(request), onFailure: () => undefined })
}

/** 405 with the methods that the path has; null for a path that has none, and for one whose ids are none. */
function wrongMethod(routes: Route[], request: Request): Response | null {
  const path = pathOf(request)
  const matching = routes.filter((route) => {
    const found = patternOf(route.path).exec(path)
    if (wordsForIds(route, routes).some((word) => word.test(path))) return false
    return found && (!route.params || route.params.safeParse(found.groups ?? {}).success)
  })
  if (matching.length === 0) return null
  const allow = [...new Set(matching.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : method)))]
  const error = new AppError(
    'not_allowed',
    `${request.method} is not served on ${path}; it takes ${allow.join(', ')}`,
    { data: { allow } },
  )
  return errorResponse(error, { request_id: requestId(request), onFailure: () => undefined })
}

/**
 * Paths of other routes that have a word where this one has an id (`/v1/agents/count` beside `/v1/agents/:agent_id`): what
 * is asked of them with a method that they do not have is not asked of a thing with that id.
 */
function wordsForIds(route: Route, routes: readonly Route[]): RegExp[] {
  const own = route.path.split('/')
  const isWordForOurs = (path: string) => {
    const parts = path.split('/')
    let words = 0
    const fits = parts.every((part, i) => {
      const mine = own[i] ?? ''
      if (/^:\w+_id$/.test(mine) && !part.startsWith(':')) words++
      else return part === mine || (part.startsWith(':') && mine.startsWith(':'))
      return true
    })
    return fits && words > 0 && parts.length === own.length
  }
  const paths = new Set(routes.map(({ path }) => path).filter(isWordForOurs))
  return [...paths].map(patternOf)
}

function patternOf(path: string): RegExp {
  const source = path
    .replaceAll(/[.]/g, '\\.')
    .replaceAll(
      /:([a-z_]+)(?:\{([^}]*)\})?/g,
      (_, name: string, own?: string) => `(?<${name}>${own ?? '[^/]+'})`,
    )
  return new RegExp(`^${source}$`)
}

/** As bodies are cleaned, so that what was created with a name is found by it. */
function cleaned(params: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).map(([key, value]) => [key, cleanText(value)]))
}

function queryOf(queries: Record<string, string[]>, schema: z.ZodType): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(queries).map(([key, values]) => {
      const clean = values.map(cleanText)
      const value = clean.length === 1 ? (clean[0] ?? '') : clean
      // JavaScript takes empty text for the number 0.
      return [key, value === '' && isNumber(schema, key) ? NaN : value]
    }),
  )
}

function isNumber(schema: z.ZodType, key: string): boolean {
  let field: unknown = schema instanceof z.ZodObject ? schema.shape[key] : undefined
  while (field instanceof z.ZodOptional || field instanceof z.ZodDefault || field instanceof z.ZodNullable)
    field = field.unwrap()
  return field instanceof z.ZodNumber
}

async function bodyOf(request: Request, route: Route): Promise<unknown> {
  const value = await readJson(request, route.verbatim)
  if (value !== undefined) return value
  if (route.optional_body) return {}
  throw new AppError('validation', 'body: a JSON object is expected, and the request has no body')
}

function parse(where: 'path' | 'query' | 'body', schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return undefined
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw validationError(where, result.error, value)
}

import type { z } from 'zod'
import type { Actor } from '../core/ports/actor.ts'
import type { Access, Demand } from './access.ts'
import type { ServerContext } from './context.ts'
import type { Scoped } from './token-scope.ts'

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined

export interface RouteInput<P, Q, B> {
  params: Parsed<P>
  query: Parsed<Q>
  body: Parsed<B>
  actor: Actor
  /** What the actor may do beyond what the route demands. */
  access: Access
  context: ServerContext
  request: Request
}

interface RouteSpec<P, Q, B> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Hono pattern without a trailing slash, for example `/v1/agents/:agent_id`; both spellings are served. */
  path: string
  /** V1's operation id, for the API document; without one it is made of method and path. */
  operation?: string
  /** One line for the API document. */
  summary: string
  /** Who may call it; a reader for GET, a member for everything else. */
  demands?: Demand
  /** What an access token needs for it; without this none reaches it. */
  scoped?: Scoped
  params?: P
  query?: Q
  /** A JSON body. With `optional_body` an empty one counts as `{}`. */
  body?: B
  optional_body?: boolean
  /** Fields of the body that are code or data for code: a NUL in them is refused, elsewhere it is left out. */
  verbatim?: readonly string[]
  /** Fields of a multipart form beside its `file`, for the API document: the handler reads the request itself. */
  form?: z.ZodType
  /** Shape of the JSON answer, for the API document and its tests; `empty` is status 204. */
  answer: z.ZodType | 'event-stream' | 'unknown' | 'empty'
  /** Shape of each line, where the answer may also be a stream of lines of JSON. */
  lines?: z.ZodType
  /** The answer may be server-sent events instead, where the request asks for them. */
  streams?: boolean
  /** Statuses that it may answer beside those that any may, for the API document. */
  also?: readonly number[]
  /** Of the JSON answer; 200 by default. */
  status?: 201
  /** A value becomes a JSON answer with that status (undefined: null); a Response is passed on. */
  handle(input: RouteInput<P, Q, B>): Promise<unknown>
}

/** A route whose handler's types were checked where it was defined. */
export interface Route extends Omit<RouteSpec<z.ZodType, z.ZodType, z.ZodType>, 'handle'> {
  handle(
    input: Omit<RouteInput<undefined, undefined, undefined>, 'params' | 'query' | 'body'> & {
      params: unknown
      query: unknown
      body: unknown
    },
  ): Promise<unknown>
}

/** Defines a route; `params`, `query` and `body` are parsed by their schemas before `handle` sees them. */
export function route<
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(spec: RouteSpec<P, Q, B>): Route {
  return spec as unknown as Route
}

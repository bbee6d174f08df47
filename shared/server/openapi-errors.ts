import type { Route } from './route.ts'

type Json = Record<string, unknown>

const retryAfter = {
  'Retry-After': { description: 'Seconds until another try is worth it', schema: { type: 'integer' } },
}

/** What each status says that is none of a route's own. */
const WORDS: Record<number, string> = {
  400: 'The request cannot be answered: what it asks for is impossible, or it is no proper HTTP',
  401: 'The key is missing or wrong (with `--auth`), or the one of the provider is',
  402: 'The provider wants to be paid first',
  403: 'The key may not do this, a limit is reached, or the Host or Origin header is none of this server’s',
  404: 'There is no such thing, or it is somebody else’s',
  405: 'Not served, though its path is',
  408: 'The request did not arrive whole in time, or an MCP server took too long',
  409: 'Something is in the way: a turn that runs (`run_id`), an approval, a name that is taken, a newer version',
  410: 'What was asked for was kept for a time only, and that is over',
  413: 'The body is larger than this server takes',
  415: 'The body is compressed, or of a type that is not read here',
  422: 'The request does not have the shape that is described here; the text names the places',
  429: 'The requests of this hour are used up, or those of the provider are',
  431: 'The address and headers are larger than this server takes',
  500: 'A failure of the server; its log names the request',
  501: 'Not on this server',
  502: 'The provider or MCP server that was asked cannot be reached, or failed',
  503: 'The server shuts down, its store cannot be written, or there are too many connections',
  504: 'The provider took too long',
}

/** Routes on which a model, a provider or an MCP server is asked. */
const ASKS_OTHERS =
  /messages|chat|completions|responses|generate|summarize|compact|embeddings|search|passages|archival|archives|mcp|providers|models|tools|files|upload|import|batch|schedule|sources|folders/
/** Routes on which streams are read that are kept for a time. */
const KEPT_STREAMS = /stream|responses|messages/

/** References to the answers besides that of success that an operation may give. */
export function errorAnswers(route: Pick<Route, 'method' | 'path' | 'also'>): Json {
  const writes = route.method !== 'GET'
  const statuses = [
    400,
    401,
    403,
    404,
    408,
    422,
    429,
    431,
    500,
    503,
    ...(writes ? [409, 413, 415] : []),
    ...(ASKS_OTHERS.test(route.path) ? [402, 409, 501, 502, 504] : []),
    ...(KEPT_STREAMS.test(route.path) ? [410] : []),
    ...(route.also ?? []),
  ]
  const named = (status: number) => [String(status), { $ref: `#/components/responses/${nameOf(status)}` }]
  return Object.fromEntries([...new Set(statuses)].toSorted((a, b) => a - b).map(named))
}

/** What the references are to. */
export function errorComponents(): { responses: Json; schemas: Json } {
  const answer = (status: number): [string, Json] => [
    nameOf(status),
    {
      description: WORDS[status] ?? '',
      ...(status === 429 || status === 503 ? { headers: retryAfter } : {}),
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
    },
  ]
  return {
    responses: Object.fromEntries(Object.keys(WORDS).map((status) => answer(Number(status)))),
    schemas: { Error },
  }
}

function nameOf(status: number): string {
  return `Error${status}`
}

const Error = {
  type: 'object',
  description:
    'An error. `detail` is everywhere; `error` has it in the words of OpenAI or Anthropic under /openai, /v1/chat and /anthropic, and tells failures of providers apart under /v1.',
  properties: {
    detail: {
      description:
        'What happened, to what, and what to do next; an object where V1 has one (a pending approval)',
      anyOf: [
        { type: 'string' },
        {
          type: 'object',
          properties: { code: { type: 'string' }, message: { type: 'string' } },
          required: ['message'],
        },
      ],
    },
    run_id: { type: 'string', description: 'The turn that keeps the conversation busy' },
    block: { type: 'object', description: 'The block as it is now, where a newer version was in the way' },
    request_id: { type: 'string', description: 'What the log of the server calls the request' },
    trace_id: { type: 'string' },
    error: {
      type: 'object',
      properties: {
        type: { type: 'string' },
        message: { type: 'string' },
        detail: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { type: ['string', 'null'] },
      },
    },
  },
  required: ['detail'],
}

// What the `client` inside a tool may ask. A tool is code that a model calls: it works with agents and their memory, and
// neither gets at secrets nor changes what tools may do. What is not named here is refused.

interface Allowed {
  methods: string
  path: RegExp
}

const ID = '[^/]+'

function allowed(methods: string, path: string): Allowed {
  return { methods, path: new RegExp(`^/v1/${path.replaceAll('{id}', ID)}/?$`) }
}

const ALLOWED: readonly Allowed[] = [
  allowed('GET', 'health'),
  allowed('GET POST', 'agents'),
  allowed('GET', 'agents/count'),
  allowed('POST', 'agents/search'),
  allowed('GET PATCH DELETE', 'agents/{id}'),
  allowed('GET', 'agents/{id}/context'),
  allowed('GET POST', 'agents/{id}/messages(/search|/cancel)?'),
  allowed('PATCH', 'agents/{id}/reset-messages'),
  allowed('GET', 'agents/{id}/core-memory'),
  allowed('GET PATCH', 'agents/{id}/core-memory/(variables|blocks(/attach|/detach)?)(/{id})?'),
  allowed('GET POST PATCH DELETE', 'agents/{id}/archival-memory(/{id})?'),
  allowed('GET PATCH', 'agents/{id}/archives/(attach|detach)/{id}'),
  allowed('GET', 'agents/{id}/(tools|folders|files|groups|identities)'),
  allowed('PATCH', 'agents/{id}/(tools|folders|identities)/(attach|detach)/{id}'),
  allowed('PATCH', 'agents/{id}/files/({id}/(open|close)|close-all)'),
  allowed('GET POST', 'blocks'),
  allowed('GET', 'blocks/count'),
  allowed('GET PATCH DELETE', 'blocks/{id}'),
  allowed('GET', 'blocks/{id}/agents'),
  allowed('GET POST', 'archives'),
  allowed('GET PATCH DELETE', 'archives/{id}'),
  allowed('POST DELETE', 'archives/{id}/passages(/batch|/{id})?'),
  allowed('POST', 'passages/search'),
  allowed('POST', 'messages/search'),
  allowed('GET', 'messages(/{id})?'),
  allowed('GET POST', 'conversations'),
  allowed('GET PATCH DELETE', 'conversations/{id}'),
  allowed('GET POST', 'conversations/{id}/(messages|cancel|fork)'),
  allowed('GET POST', 'folders'),
  allowed('GET PATCH DELETE', 'folders/{id}'),
  allowed('GET', 'folders/(count|name/{id})'),
  allowed('GET', 'folders/{id}/(agents|files|passages)'),
  allowed('GET POST', 'groups'),
  allowed('GET PATCH DELETE', 'groups/{id}'),
  allowed('GET POST', 'groups/{id}/messages'),
  allowed('GET POST', 'identities'),
  allowed('GET PATCH DELETE', 'identities/{id}'),
  allowed('GET', 'identities/{id}/(agents|blocks)'),
  allowed('GET', '(runs|steps|jobs|tags|models|models/embedding)'),
  allowed('GET', '(runs|steps|jobs)/{id}'),
  allowed('GET', 'runs/{id}/(messages|steps|usage|metrics)'),
]

/** Fields of an agent that decide what its tools may do, where its model is, and what is secret. */
const FIELDS = [
  'secrets',
  'tool_exec_environment_variables',
  'tool_rules',
  'llm_config',
  'embedding_config',
  'model_settings',
] as const

/** Why a tool must not ask this; null: it may. A sentence for who writes the tool. */
export function refusedRequest(method: string, url: URL, body: Buffer | null): string | null {
  const path = decodeURIComponent(url.pathname)
  if (!ALLOWED.some((rule) => rule.path.test(path) && rule.methods.split(' ').includes(method)))
    return `The client inside a tool may not ask for ${method} ${path}.`
  if (method === 'GET' || !body || body.length === 0) return null
  const given = parseObject(body)
  if (!given) return path.startsWith('/v1/agents') ? 'The client inside a tool sends JSON objects.' : null
  const field = FIELDS.find((name) => given[name] !== undefined && given[name] !== null)
  if (field && /^\/v1\/agents(\/[^/]+)?\/?$/.test(path))
    return `The client inside a tool may not set '${field}' of an agent.`
  if (decidesApprovals(given)) return 'The client inside a tool may not approve calls of tools.'
  return null
}

function decidesApprovals(given: Record<string, unknown>): boolean {
  const { messages } = given
  return (
    Array.isArray(messages) &&
    messages.some((message) => typeof message === 'object' && message !== null && message.type === 'approval')
  )
}

function parseObject(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/** Fields of answers that hold secrets. */
const SECRET = ['secrets', 'tool_exec_environment_variables'] as const

/** An answer of the API without the secrets of agents; they come as empty lists. */
export function withoutSecrets(body: Buffer): Buffer {
  if (!SECRET.some((name) => body.includes(`"${name}":[{`))) return body
  const value: unknown = JSON.parse(body.toString(), (key, item: unknown) =>
    (SECRET as readonly string[]).includes(key) && Array.isArray(item) ? [] : item,
  )
  return Buffer.from(JSON.stringify(value))
}

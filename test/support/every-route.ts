/** What a test needs that asks every route: all of them, something for each parameter, and a body that each takes. */
import assert from 'node:assert/strict'
import { NOUNS, ROOTS } from '../../shared/server/app.ts'
import type { Route } from '../../shared/server/route.ts'
import { eventually } from './loci.ts'

/** Asks as the owner, and answers what a route that must succeed answered. */
export type Owner = (
  method: string,
  path: string,
  body?: unknown,
) => Promise<Record<string, unknown> & { id: string }>

const PARAMETER = /:([a-z_]+)(?:\{[^}]*\})?/g

/** Every route that is served, beside `/v1` too. */
export async function everyRoute(): Promise<Route[]> {
  const nouns = await Promise.all([...Object.values(NOUNS), ...Object.values(ROOTS)].map((load) => load()))
  return nouns.flatMap(({ routes }) => routes)
}

/** A route's path with something for each parameter, and their names. */
export function filled(route: Route, ids: Record<string, string>): { names: string[]; path: string } {
  const names = [...route.path.matchAll(PARAMETER)].map(([, name]) => name ?? '')
  const unknown = names.filter((name) => ids[name] === undefined)
  assert.deepEqual(unknown, [], `no id for ${route.path}: add one to \`populate\``)
  return { names, path: route.path.replaceAll(PARAMETER, (_, name: string) => ids[name] ?? '') }
}

/** Bodies of which each route that takes one takes at least one, or refuses them all for a reason below. */
export const bodies = (mark: string, agent_id = ''): unknown[] => [
  {},
  { name: 'stolen' },
  { value: 'stolen' },
  { text: 'stolen' },
  { query: mark },
  { messages: [{ role: 'user', content: 'stolen' }] },
  { message: 'stolen' },
  { input: 'stolen' },
  { prompt: 'stolen' },
  { messages: ['stolen'] },
  { passages: [{ text: 'stolen' }] },
  { requests: [{ agent_id: 'agent-00000000-0000-4000-8000-000000000001', input: 'stolen' }] },
  { requires_approval: true },
  [{ key: 'k', value: 'stolen', type: 'string' }],
  { config: { mcp_server_type: 'streamable_http', server_url: 'http://127.0.0.1:9/stolen' } },
  { mode: 'append', text: 'stolen' },

  {
    messages: [{ role: 'user', content: 'stolen' }],
    schedule: { type: 'recurring', cron_expression: '0 0 1 1 *' },
  },
  { version: '1' },
  { new_name: 'stolen' },
  { agent_file_json: {} },
  { type: 'agent', agent_id },
  { message_id: 'message-00000000-0000-4000-8000-000000000001' },
]

/** Makes one of everything, all with `mark` in it. Answers, by a parameter's name, something of it. */
export async function populate(
  { url }: { url: string },
  key: string,
  mark: string,
): Promise<Record<string, string>> {
  const owner = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    assert.ok(response.status < 300, `${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text === '' ? 'null' : text) as Record<string, unknown> & { id: string }
  }
  const agent = await owner('POST', '/v1/agents/', {
    name: `${mark}-agent`,
    model: 'loci/demo',
    memory_blocks: [{ label: 'human', value: `${mark} lives here` }],
    tags: [mark],
    include_base_tools: true,
  })
  const [block] = (agent['blocks'] as { id: string }[]) ?? []
  const said = await owner('POST', `/v1/agents/${agent.id}/messages`, {
    messages: [{ role: 'user', content: `My name is ${mark}` }],
  })
  const [run] = (await owner('GET', '/v1/runs/')) as unknown as { id: string }[]
  const [step] = (await owner('GET', '/v1/steps/')) as unknown as { id: string }[]
  const tool = await owner('POST', '/v1/tools/', {
    source_code: `def ${mark.toLowerCase()}(text: str) -> str:\n    """${mark}.\n\n    Args:\n        text: It.\n    """\n    return text\n`,
  })
  const archive = await owner('POST', '/v1/archives/', { name: `${mark} archive` })
  const passage = await owner('POST', `/v1/archives/${archive.id}/passages`, { text: `${mark} remembers` })
  const folder = await owner('POST', '/v1/folders/', { name: `${mark} folder` })
  const identity = await owner('POST', '/v1/identities/', {
    identifier_key: mark,
    name: mark,
    identity_type: 'user',
  })
  const group = await owner('POST', '/v1/groups/', { description: mark, agent_ids: [agent.id] })
  const conversation = await owner('POST', `/v1/conversations/?agent_id=${agent.id}`, { summary: mark })
  const form = new FormData()
  form.set('file', new Blob([`${mark} wrote this`]), `${mark}.txt`)
  const uploaded = await fetch(`${url}/v1/folders/${folder.id}/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: form,
  })
  const file = (await uploaded.json()) as { id: string }
  await eventually('the file is read', async () => {
    const { processing_status } = await owner('GET', `/v1/folders/${folder.id}/files/${file.id}`)
    return processing_status === 'completed' ? true : null
  })
  const server = await owner('POST', '/v1/mcp-servers/', {
    server_name: `${mark}-mcp`,
    config: { mcp_server_type: 'streamable_http', server_url: 'http://127.0.0.1:9/mcp' },
  })
  const schedule = await owner('POST', `/v1/agents/${agent.id}/schedule`, {
    messages: [{ role: 'user', content: mark }],
    schedule: { type: 'recurring', cron_expression: '0 0 1 1 *' },
  })
  const user = await owner('POST', '/v1/admin/users', { name: mark })
  const userKey = await owner('POST', `/v1/admin/users/${user.id}/keys`, { name: mark })
  const requests = [{ agent_id: agent.id, input: `${mark} in a batch` }]
  const batch = await owner('POST', '/v1/messages/batches', { requests })
  await eventually('the batch has ended', async () =>
    (await owner('GET', `/v1/messages/batches/${batch.id}`))['completed_at'] === null ? null : true,
  )
  const template = `${mark}-template`
  await owner('POST', '/v1/templates', { type: 'agent', agent_id: agent.id, name: template })
  const deployed = await owner('POST', `/v1/templates/${template}:latest/agents`, { agent_name: mark })
  const token = await owner('POST', '/v1/client-side-access-tokens', {
    policy: [{ type: 'agent', id: agent.id, access: ['read_agent'] }],
    hostname: `https://${mark}.example`,
    expires_at: '2100-01-01T00:00:00Z',
  })
  const messages = (said['messages'] as { id: string }[]) ?? []
  return {
    agent: agent.id,
    agent_id: agent.id,
    block_id: block?.id ?? '',
    block_label: 'human',
    run_id: run?.id ?? '',
    job_id: run?.id ?? '',
    batch_id: batch.id,
    step_id: step?.id ?? '',
    tool_id: tool.id,
    tool_name: mark.toLowerCase(),
    archive_id: archive.id,
    passage_id: passage.id,
    memory_id: passage.id,
    folder_id: folder.id,
    folder_name: `${mark} folder`,
    source_id: folder.id,
    source_name: `${mark} folder`,
    conversation: conversation.id,
    file_id: file.id,
    identity_id: identity.id,
    group_id: group.id,
    conversation_id: conversation.id,
    message_id: messages[0]?.id ?? '',
    mcp_server_id: server.id,
    mcp_server_name: `${mark}-mcp`,
    mcp_tool_name: 'x',
    provider_id: 'provider-00000000-0000-4000-8000-000000000001',
    user_id: user.id,
    key_id: userKey.id,
    version: '1',
    editor_id: 'x',
    response_id: run?.id ?? '',
    model: agent.id,
    compaction_id: 'x',
    scheduled_message_id: schedule.id,
    token: token.id,
    project_id: 'default-project',
    template_name: template,
    template_version: `${template}:current`,
    name: template,
    deployment_id: String(deployed['deployment_id']),
  }
}

/** All that the owner can list, without what changes by itself. */
export async function everything(owner: Owner, ids: Record<string, string>): Promise<string[]> {
  const lists = [
    'agents',
    'blocks',
    'tools',
    'archives',
    'folders',
    'identities',
    'groups',
    'runs',
    'steps',
    'mcp-servers',
    'tags',
  ].map((noun) => `/v1/${noun}/?limit=500`)
  const more = [
    '/v1/client-side-access-tokens?limit=500',
    '/v1/templates?limit=500',
    `/v1/templates/default-project/${ids['template_name']}/versions`,
    `/v1/templates/default-project/${ids['template_version']}/snapshot`,
    `/v1/agents/${ids['agent_id']}/messages?limit=500`,
    `/v1/agents/${ids['agent_id']}/core-memory/blocks`,
    `/v1/agents/${ids['agent_id']}/tools`,
    `/v1/agents/${ids['agent_id']}/archival-memory`,
    `/v1/conversations/?agent_id=${ids['agent_id']}`,
    `/v1/folders/${ids['folder_id']}/files`,
    `/v1/admin/users/${ids['user_id']}/keys`,
  ]
  const answers = await Promise.all([...lists, ...more].map((path) => owner('GET', path)))
  const text = JSON.stringify(
    answers,
    (name, value: unknown) =>
      [
        'connection',
        'last_used_at',
        'processing_status',
        'updated_at',
        'total_chunks',
        'chunks_embedded',
      ].includes(name)
        ? undefined
        : value,
    1,
  )
  return text.split('\n')
}

import { idOf, listOf, textIn } from './lists.ts'
import { messagesOf } from './history.ts'
import type { Part } from './pull.ts'
import type { V1Server } from './v1-server.ts'

const LISTS: Partial<Record<Part, string>> = {
  tools: '/v1/tools/',
  blocks: '/v1/blocks/',
  folders: '/v1/folders/',
  archives: '/v1/archives/',
  identities: '/v1/identities/',
  groups: '/v1/groups/',
  providers: '/v1/providers/',
}

/** Counts what a migration would read; nothing is brought. */
export async function countAll(
  server: V1Server,
  only: ReadonlySet<Part> | null,
  agents: readonly string[] | null,
  show: (text: string, share?: number) => void,
): Promise<{ toText(): string; toJson(): string }> {
  const counts: Record<string, number> = {}
  const troubles: string[] = []
  const lost = (why: string) => void troubles.push(why)
  const add = (key: string) => {
    counts[key] = (counts[key] ?? 0) + 1
  }
  const wants = (part: Part) => only === null || only.has(part)
  for (const [part, path] of Object.entries(LISTS) as [Part, string][]) {
    if (!wants(part) || agents !== null) continue
    counts[part] = 0
    show(`Counting ${part} …`)
    for await (const _ of listOf(server, path, {}, lost)) add(part)
    if (part === 'folders' && counts[part] === 0)
      for await (const _ of listOf(server, '/v1/sources/', {}, lost)) add(part)
  }
  if (wants('agents')) {
    Object.assign(counts, { agents: 0, conversations: 0, messages: 0, passages: 0 })
    const modern = (await server.get('/v1/conversations/', { limit: 1 })) !== null
    const query = { include_relationships: '', show_hidden_agents: true }
    for await (const agent of listOf(server, '/v1/agents/', query, lost, { page: 50 })) {
      const id = idOf(agent)
      if (agents !== null && !agents.includes(id) && !agents.includes(textIn(agent, 'name'))) continue
      add('agents')
      show(
        `Counting messages: ${(counts['messages'] ?? 0).toLocaleString('en')}, agent ${counts['agents']} …`,
      )
      const conversations: (string | null)[] = [null]
      if (modern)
        for await (const one of listOf(server, '/v1/conversations/', { agent_id: id }, lost)) {
          conversations.push(idOf(one))
          add('conversations')
        }
      for (const conversation_id of conversations) {
        const wanted = { agent_id: id, conversation_id, after: null, page: 100, modern }
        for await (const _ of messagesOf(server, wanted, lost)) add('messages')
      }
      const memory = `/v1/agents/${id}/archival-memory`
      for await (const _ of listOf(server, memory, { ascending: true }, lost)) add('passages')
    }
  }
  return {
    toJson: () => JSON.stringify({ from: server.url, dry_run: true, counts, notes: troubles }, null, 2),
    toText: () =>
      [
        `${server.url} has:`,
        ...Object.entries(counts).map(([part, n]) => `  ${n.toLocaleString('en').padStart(9)} ${part}`),
        ...troubles.map((why) => `- ${why}`),
        'Nothing was brought (--dry-run). Passages of archives that agents share are counted for each of them.',
        '',
      ].join('\n'),
  }
}

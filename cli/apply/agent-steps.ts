import type { AgentRecord } from '../../shared/schema/fleet-state.ts'
import type { WantedAgent } from './desired.ts'
import type { HaveAgent } from './have-agent.ts'
import { namesAdded, type Plan, type Step } from './plan.ts'
import { blockChanges, newBlock } from './plan-blocks.ts'
import { hashOf } from './state.ts'

/** The blocks of its own: those that come, change, and may go. */
export function ownBlocks(plan: Plan, wanted: WantedAgent, found: HaveAgent, record: AgentRecord): Step[] {
  const { client } = plan
  const steps: Step[] = []
  for (const block of wanted.memory_blocks) {
    const { label } = block
    const there = found.blocks.find((one) => one.label === label)
    if (!there) {
      const run = async (agent_id: string) => {
        const { id } = await client.letta.blocks.create(newBlock(block) as { label: string; value: string })
        record.blocks[label] = { id, made: true, value: hashOf(block.value) }
        await client.letta.agents.blocks.attach(id, { agent_id })
      }
      steps.push({ fields: [{ field: `block ${label}`, before: null, after: block.value }], run })
      continue
    }
    const known = record.blocks[label]
    const last = known?.id === there.id ? known : undefined
    const { fields, body, value } = blockChanges(
      plan,
      block,
      there,
      last?.value ?? null,
      `${wanted.name}/${label}`,
    )
    const next = { id: there.id, made: last?.made ?? false, value }
    if (fields.length === 0) {
      record.blocks[label] = next
      continue
    }
    const run = async () => {
      await client.letta.patch(`/v1/blocks/${there.id}`, { body })
      record.blocks[label] = next
    }
    const named = fields.map((field) => ({
      ...field,
      field: field.field === 'value' ? `block ${label}` : `block ${label} (${field.field})`,
    }))
    steps.push({ fields: named, run })
  }
  for (const [label, { id, made }] of Object.entries(record.blocks)) {
    if (wanted.memory_blocks.some((block) => block.label === label)) continue
    const there = found.blocks.find((block) => block.id === id)
    if (!there || !made) delete record.blocks[label]
    else if (!plan.prune) plan.stale.push(`block ${wanted.name}/${label}`)
    else
      steps.unshift({
        fields: [{ field: `block ${label}`, before: there.value, after: null }],
        async run(agent_id) {
          await client.letta.agents.blocks.detach(id, { agent_id })
          const others = (await client.letta.blocks.agents.list(id, { limit: 1 })).items
          if (others.length === 0) await client.letta.blocks.delete(id)
          delete record.blocks[label]
        },
      })
  }
  return steps
}

/** Its tags; those of others stay. */
export function tagSteps(plan: Plan, wanted: WantedAgent, found: HaveAgent, record: AgentRecord): Step[] {
  const tags = wanted.tags ?? []
  const added = tags.filter((tag) => !found.tags.includes(tag))
  const gone = record.tags.filter((tag) => !tags.includes(tag) && found.tags.includes(tag))
  if (!plan.prune) plan.stale.push(...gone.map((tag) => `tag '${tag}' of ${wanted.name}`))
  const removed = plan.prune ? gone : []
  if (added.length === 0 && removed.length === 0) return []
  const next = [...found.tags.filter((tag) => !removed.includes(tag)), ...added]
  const run = () => {
    record.tags = [...record.tags.filter((tag) => !removed.includes(tag)), ...added]
    return Promise.resolve()
  }
  const fields = [
    ...removed.map((tag) => ({ field: 'tag', before: tag, after: null })),
    ...namesAdded('tag', added),
  ]
  return [{ fields, body: { tags: next }, run }]
}

/** Its secrets; none is shown. */
export function secretSteps(wanted: WantedAgent, found: HaveAgent, record: AgentRecord): Step[] {
  const there = new Map((found.secrets ?? []).map(({ key, value }) => [key, value]))
  const changed = Object.entries(wanted.secrets).filter(
    ([name, value]) => value !== null && there.get(name) !== value,
  )
  if (changed.length === 0) return []
  const fields = changed.map(([name]) => ({
    field: `secret ${name}`,
    before: there.has(name) ? '(not shown)' : null,
    after: '(not shown)',
  }))
  const run = () => {
    record.secrets = [...new Set([...record.secrets, ...changed.map(([name]) => name)])]
    return Promise.resolve()
  }
  return [{ fields, body: { secrets: secretsOf(wanted, found.secrets ?? []) }, run }]
}

/** The whole set of an agent's secrets: what it has, and what is wanted in its place. */
export function secretsOf(
  wanted: WantedAgent,
  found: readonly { key: string; value: string }[],
): Record<string, string> | undefined {
  const asked = Object.entries(wanted.secrets).flatMap(([name, value]) =>
    value === null ? [] : [[name, value]],
  )
  const all = [...found.map(({ key, value }) => [key, value]), ...asked]
  return all.length === 0 ? undefined : (Object.fromEntries(all) as Record<string, string>)
}

/** The conversations that it has not begun yet, by their summaries. */
export async function conversationSteps(plan: Plan, wanted: WantedAgent, found: HaveAgent): Promise<Step[]> {
  if (!wanted.conversations?.length) return []
  const query = { agent_id: found.id, limit: 1000 }
  const there = await plan.client.letta.conversations.list(query)
  return wanted.conversations
    .filter(({ summary }) => !there.some((one) => one.summary === summary))
    .map(({ summary, isolated_blocks }) => ({
      fields: [{ field: 'conversation', before: null, after: summary }],
      run: (agent_id: string) => newConversation(plan, agent_id, summary, isolated_blocks),
    }))
}

/** Begins a conversation. */
export async function newConversation(
  plan: Plan,
  agent_id: string,
  summary: string,
  isolated: string[] = [],
): Promise<void> {
  const body = { summary, ...(isolated.length === 0 ? {} : { isolated_block_labels: isolated }) }
  await plan.client.letta.post('/v1/conversations/', { query: { agent_id }, body, maxRetries: 0 })
}

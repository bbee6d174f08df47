import type { AgentRecord } from '../../shared/schema/fleet-state.ts'
import type { Wanted, WantedAgent } from './desired.ts'
import { type HaveAgent, readAgent } from './have-agent.ts'
import { has, type Plan, type Step, textOf } from './plan.ts'
import { hashOf } from './state.ts'

/** The settings of an agent, each with what changes in it. Those that the server has settled otherwise are no changes. */
export function settingsOf(
  wanted: WantedAgent,
  model: string | undefined,
  found: Partial<HaveAgent>,
  settled: AgentRecord['settled'] = {},
): (Step & { key: string; asked: unknown; there: unknown })[] {
  const { llm_config, metadata } = wanted
  const config = found.llm_config ?? {}
  const rows: [string, unknown, unknown, Record<string, unknown>?][] = [
    ['name', found.name === undefined ? undefined : wanted.name, found.name],
    ['description', wanted.description, found['description']],
    ['system', wanted.system?.trim(), found['system']],
    ['model', model, found.model],
    [
      'context_window_limit',
      llm_config?.context_window ?? wanted.context_window_limit,
      config['context_window'],
    ],
    ['max_tokens', llm_config?.max_tokens ?? wanted.max_tokens, config['max_tokens']],
    ['reasoning', wanted.reasoning, config['enable_reasoner']],
    ['parallel_tool_calls', wanted.parallel_tool_calls, config['parallel_tool_calls']],
    ['model_settings', wanted.model_settings, found['model_settings']],
    ['compaction_settings', wanted.compaction_settings, found['compaction_settings']],
    ['response_format', wanted.response_format, found['response_format']],
    ['embedding', wanted.embedding, found['embedding']],
    ['timezone', wanted.timezone, found['timezone']],
    ['hidden', wanted.hidden, found['hidden']],
    ['enable_sleeptime', wanted.enable_sleeptime, found['enable_sleeptime']],
    ['metadata', metadata, found.metadata, { metadata: { ...found.metadata, ...metadata } }],
    [
      'tool_rules',
      wanted.tool_rules && rules(wanted.tool_rules),
      found['tool_rules'] && rules(found['tool_rules']),
    ],
  ]
  return rows.flatMap(([key, asked, there, body = { [key]: asked }]) => {
    if (asked === undefined) return []
    const [hash, made] = settled[key] ?? []
    const same = has(there, asked) || (hash === hashOf(asked) && made === hashOf(there ?? null))
    const fields = same ? [] : [{ field: key, before: textOf(there), after: textOf(asked) }]
    return [{ key, asked, there, fields, body }]
  })
}

/** Tool rules in one order, without what they leave out. */
function rules(list: unknown): unknown[] {
  return (list as Record<string, unknown>[])
    .map((rule) =>
      Object.fromEntries(
        Object.entries(rule)
          .filter(([, value]) => value != null)
          .toSorted(),
      ),
    )
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

/** Notes what the server has made of the settings and blocks, so that the next apply finds no change in it. */
export async function settle(
  plan: Plan,
  wanted: Wanted<WantedAgent>,
  model: string | undefined,
): Promise<void> {
  const record = plan.state.agents[wanted.name]
  if (!record) return
  const now = await readAgent(plan, record.id)
  record.settled = Object.fromEntries(
    settingsOf(wanted, model, now)
      .filter(({ fields }) => fields.length > 0)
      .map(({ key, asked, there }) => [key, [hashOf(asked), hashOf(there ?? null)]]),
  )
  for (const { label, id } of now.blocks) {
    const own = record.blocks[label ?? '']
    if (own && own.id === '') own.id = id
  }
}

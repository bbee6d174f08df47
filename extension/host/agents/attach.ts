import { window } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import type { Library } from '../library.ts'
import type { Dragged } from '../views/dragged.ts'
import { byLabel, type Entry } from '../views/entry.ts'
import { t } from '../l10n.ts'

/** Attaches blocks and tools to an agent; what it has already is left alone. Throws what the client throws. */
export async function attachTo(
  client: LociClient,
  library: Library,
  objects: readonly Dragged[],
  agent_id: string,
): Promise<void> {
  const agent = library.agents.get(agent_id)
  const has = new Set([...(agent?.block_ids ?? []), ...(agent?.tool_ids ?? [])])
  const { agents } = client.letta
  for (const { kind, id } of objects.filter((object) => !has.has(object.id))) {
    // One after the other: each changes the same agent.
    if (kind === 'block') await agents.blocks.attach(id, { agent_id })
    else await agents.tools.attach(id, { agent_id })
  }
}

/** Asks which agents the block or tool of this row goes to, and attaches it. */
export async function attachToPicked(client: LociClient, library: Library, row: Entry): Promise<void> {
  const { kind, object_id } = row
  if ((kind !== 'block' && kind !== 'tool') || object_id === undefined) return
  const items = [...library.agents.values()]
    .filter((agent) => !agent.block_ids.includes(object_id) && !agent.tool_ids.includes(object_id))
    .map((agent) => ({ label: agent.name, description: agent.model ?? '', id: agent.id }))
    .sort(byLabel)
  if (items.length === 0) {
    void window.showInformationMessage(t('Every agent has {0} already.', row.label))
    return
  }
  const picked = await window.showQuickPick(items, {
    title: t('Attach {0}', row.label),
    placeHolder: t('To which agents?'),
    canPickMany: true,
  })
  for (const { id } of picked ?? []) await attachTo(client, library, [{ kind, id: object_id }], id)
}

/** Asks which blocks (or tools) the agent of this row gets, and attaches them. */
export async function attachPicked(
  client: LociClient,
  library: Library,
  row: Entry,
  kind: Dragged['kind'],
): Promise<void> {
  const agent = library.agents.get(row.object_id ?? '')
  if (!agent) return
  const has = new Set(kind === 'block' ? agent.block_ids : agent.tool_ids)
  const items = (
    kind === 'block'
      ? [...library.blocks.values()].map(({ id, label, value }) => ({ id, label, description: value }))
      : [...library.tools.values()].map(({ id, name, description }) => ({
          id,
          label: name,
          description: description ?? '',
        }))
  )
    .filter(({ id }) => !has.has(id))
    .map((item) => ({ ...item, description: item.description.slice(0, 80).replaceAll('\n', ' ') }))
    .sort(byLabel)
  const picked = await window.showQuickPick(items, {
    title: t('Attach to {0}', agent.name),
    placeHolder: kind === 'block' ? t('Which memory blocks does it share?') : t('Which tools may it use?'),
    canPickMany: true,
    matchOnDescription: true,
  })
  const objects = (picked ?? []).map(({ id }) => ({ kind, id }))
  await attachTo(client, library, objects, agent.id)
}

/** Takes the block or tool of this row from the agent that the row stands in. Undo attaches it again. */
export async function detach(client: LociClient, library: Library, row: Entry): Promise<() => Promise<void>> {
  const { kind, object_id, agent_id } = row
  if ((kind !== 'block' && kind !== 'tool') || object_id === undefined || agent_id === undefined)
    throw new Error(t('Choose a block or a tool of an agent.'))
  const { agents } = client.letta
  if (kind === 'block') await agents.blocks.detach(object_id, { agent_id })
  else await agents.tools.detach(object_id, { agent_id })
  return () => attachTo(client, library, [{ kind, id: object_id }], agent_id)
}

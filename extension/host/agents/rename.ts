import { window } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import type { Library } from '../library.ts'
import { checkAgentName } from '../new-agent.ts'
import type { Entry } from '../views/entry.ts'
import { t } from '../l10n.ts'

/** Asks for another name of the agent, or label of the block, and gives it. */
export async function rename(client: LociClient, library: Library, row: Entry): Promise<void> {
  const { object_id = '', label } = row
  const isAgent = row.kind === 'agent'
  const taken = isAgent ? [...library.agents.values()].map((agent) => agent.name) : []
  const others = taken.filter((name) => name !== label)
  const name = await window.showInputBox({
    title: t('Rename {0}', label),
    value: label,
    prompt: isAgent ? t('What is the agent called?') : t('What do its agents call the block?'),
    validateInput: (value) => (isAgent ? checkAgentName(value, others) : checkLabel(value)),
  })
  if (name === undefined || name.trim() === label) return
  if (isAgent) await client.letta.agents.update(object_id, { name: name.trim() })
  else await client.letta.blocks.update(object_id, { label: name.trim() })
}

/** What is wrong with a block's label, in a sentence; null for a good one. */
export function checkLabel(value: string): string | null {
  return value.trim() === '' ? t('A block needs a label.') : null
}

import { window } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import type { Library } from '../library.ts'
import { byLabel } from '../views/entry.ts'
import { checkLabel } from './rename.ts'
import { t } from '../l10n.ts'

/** Asks for label, description and agents, and makes the block; answers its id. Null when the user changes their mind. */
export async function newBlock(client: LociClient, library: Library): Promise<string | null> {
  const label = await window.showInputBox({
    title: t('New Block (1/3): Label'),
    prompt: t(
      'What is the memory about? The agent sees this name: short is best, for example team, project or style.',
    ),
    validateInput: checkLabel,
    ignoreFocusOut: true,
  })
  if (label === undefined) return null
  const description = await window.showInputBox({
    title: t('New Block (2/3): Description'),
    prompt: t('What agents are told that belongs into it; it guides what they write. It may be empty.'),
    ignoreFocusOut: true,
  })
  if (description === undefined) return null
  const agents = [...library.agents.values()].map(({ id, name, model }) => ({
    id,
    label: name,
    description: model ?? '',
  }))
  const sharers =
    agents.length === 0
      ? []
      : await window.showQuickPick(agents.sort(byLabel), {
          title: t('New Block (3/3): Agents'),
          placeHolder: t('Which agents share it? None is fine, too.'),
          canPickMany: true,
          ignoreFocusOut: true,
        })
  if (!sharers) return null
  const block = await client.letta.blocks.create({
    label: label.trim(),
    value: '',
    ...(description.trim() === '' ? {} : { description: description.trim() }),
  })
  for (const { id } of sharers) await client.letta.agents.blocks.attach(block.id, { agent_id: id })
  return block.id
}

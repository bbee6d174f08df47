import { QuickPickItemKind, window, type QuickPickItem } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import { checkAgentName, freeName, humanBlock, personaBlock } from '../new-agent.ts'
import { t } from '../l10n.ts'

interface ModelItem extends QuickPickItem {
  handle?: string
}

/**
 * Asks for name and model and creates the agent with a human and a persona block. Null when the user changes their
 * mind. Throws what the client throws.
 */
export async function newAgent(
  client: LociClient,
  taken: readonly string[],
): Promise<{ id: string; name: string } | null> {
  const name = await window.showInputBox({
    title: t('New Agent (1/2): Name'),
    prompt: t('What is the agent called? Letters, digits, spaces, apostrophes, underscores and hyphens.'),
    value: freeName(taken),
    validateInput: (value) => checkAgentName(value, taken),
    ignoreFocusOut: true,
  })
  if (name === undefined) return null
  const model = await pickModel(client)
  if (model === null) return null
  const agent = await client.letta.agents.create({
    name: name.trim(),
    model,
    memory_blocks: [humanBlock(), personaBlock(name.trim())],
  })
  return { id: agent.id, name: agent.name }
}

async function pickModel(client: LociClient): Promise<string | null> {
  const picked = await window.showQuickPick<ModelItem>(modelItems(client), {
    title: t('New Agent (2/2): Model'),
    placeHolder: t('Which model does the agent think with?'),
    matchOnDescription: true,
    ignoreFocusOut: true,
  })
  return picked?.handle ?? null
}

async function modelItems(client: LociClient): Promise<ModelItem[]> {
  const models = await client.letta.models.list()
  const handles = models.map((model) => ({
    handle: model.handle ?? model.model,
    window: t('{0}k context', Math.round(model.context_window / 1000)),
  }))
  const items = handles
    .filter(({ handle }) => handle !== 'loci/demo')
    .map(({ handle, window }): ModelItem => ({ label: `$(sparkle) ${handle}`, description: window, handle }))
  const demo: ModelItem = {
    label: '$(beaker) loci/demo',
    description: t('scripted, needs no key'),
    detail: t(
      'Not a language model: a small script that shows how an agent edits its memory and answers from it.',
    ),
    handle: 'loci/demo',
  }
  const hint =
    items.length === 0
      ? t(
          'No model provider found: set OPENAI_API_KEY, or run Ollama or LM Studio, and start the server again',
        )
      : t('Without a model')
  return [...items, { label: hint, kind: QuickPickItemKind.Separator }, demo]
}

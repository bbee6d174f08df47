import { commands, ProgressLocation, window } from 'vscode'
import { t } from '../l10n.ts'
import type { EditorModel, EditorModels } from './editor-models.ts'
import { refusalOf } from './refusals.ts'

/** Models whose use was proposed in this window: once is enough. */
const proposed = new Set<string>()

/** An agent wants a model that the user has not been asked about: offers to ask. Nobody waits for the answer. */
export function proposeModel(model: EditorModel): void {
  if (proposed.has(model.handle)) return
  proposed.add(model.handle)
  const allow = t('Allow…')
  const text = t('An agent of Loci wants to think with {0}, a model of the editor.', model.name)
  void window.showInformationMessage(text, allow, t('Not Now')).then((choice) => {
    if (choice === allow) return allowModel(model)
    return undefined
  })
}

/**
 * Shows the models that the editor has, and lets the user allow one: VS Code itself asks for consent, which it does for a
 * request alone, so a short one is sent.
 */
export async function pickModel(models: EditorModels): Promise<void> {
  const all = await models.list()
  if (all.length === 0) {
    void window.showInformationMessage(
      t(
        'VS Code has no models of its own now. Sign in to GitHub Copilot, or install an extension that has some.',
      ),
    )
    return
  }
  const states = { allowed: t('may be used'), refused: t('refused'), unasked: t('VS Code will ask you') }
  const items = all.map((model) => ({
    label: `$(sparkle) ${model.name}`,
    description: `vscode/${model.handle}`,
    detail: states[model.access()],
    model,
  }))
  const picked = await window.showQuickPick(items, {
    title: t('Use the Editor’s Models'),
    placeHolder: t('Which model may agents think with?'),
    matchOnDescription: true,
  })
  if (picked) await allowModel(picked.model)
}

async function allowModel(model: EditorModel): Promise<void> {
  try {
    await window.withProgress(
      { location: ProgressLocation.Notification, title: t('Asking {0}', model.name), cancellable: true },
      (_, token) => {
        const abort = new AbortController()
        token.onCancellationRequested(() => abort.abort())
        return greet(model, abort.signal)
      },
    )
  } catch (error) {
    throw new Error(refusalOf(error, model.name).message, { cause: error })
  }
  const newAgent = t('New Agent')
  const text = t('Agents can think with {0}: vscode/{1}.', model.name, model.handle)
  void window.showInformationMessage(text, newAgent).then((choice) => {
    if (choice === newAgent) return commands.executeCommand('loci.newAgent')
    return undefined
  })
}

async function greet(model: EditorModel, signal: AbortSignal): Promise<void> {
  const parts = [{ type: 'text' as const, text: 'Answer with the word "ready".' }]
  const request = { messages: [{ role: 'user' as const, parts }], tools: [], must_call: false, options: {} }
  // The first piece says that it works.
  for await (const _ of model.ask(request, signal)) return
}

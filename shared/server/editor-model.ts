import type { LanguageModel } from '../core/ports/models.ts'
import { EDITOR_PROVIDER } from '../schema/editor.ts'
import { AppError } from '../schema/errors.ts'
import type { ProviderConfig } from '../schema/provider.ts'
import { type Editors, isWindowLost } from './editors.ts'

/**
 * A model of the editor. Each request goes to the window that is used at that time; one that is lost before it said
 * anything hands over to another.
 */
export function createEditorModel(
  name: string,
  editors: Pick<Editors, 'provider' | 'doubt'>,
  modelOf: (provider: ProviderConfig) => LanguageModel,
): LanguageModel {
  let last: { provider: ProviderConfig; model: LanguageModel } | null = null
  async function present(): Promise<LanguageModel> {
    const provider = await editors.provider()
    if (!provider) throw noWindow(name)
    if (last?.provider !== provider) last = { provider, model: modelOf(provider) }
    return last.model
  }
  return {
    async *generate(request, options) {
      const tried = new Set<LanguageModel>()
      for (;;) {
        const model = await present()
        let said = false
        try {
          for await (const event of model.generate(request, options)) {
            said = true
            yield event
          }
          return
        } catch (error) {
          tried.add(model)
          if (said || !isWindowLost(error)) throw error
          editors.doubt()
          // The same window again, which lives after all: it has said what is wrong.
          if (tried.has(await present())) throw error
        }
      }
    },
    async preview(request, options) {
      return (await (await present()).preview?.(request, options)) ?? {}
    },
  }
}

/** Why a handle of an editor's model leads nowhere; null for one that the list of models explains. */
export function absentEditorModel(handle: string, siblings: number): AppError | null {
  if (!handle.startsWith(`${EDITOR_PROVIDER}/`)) return null
  if (handle.startsWith(`${EDITOR_PROVIDER}/loci/`))
    return new AppError(
      'model_not_found',
      `'${handle}' is an agent of Loci that VS Code lists as a model. An agent cannot think with an agent: it would ask ` +
        'itself without end. Choose a model that is none.',
    )
  return siblings === 0 ? noWindow(handle) : null
}

function noWindow(name: string): AppError {
  return new AppError(
    'model_not_found',
    `No editor window offers '${name}' now: it is a model of VS Code, which answers while a window with Loci is open and ` +
      'its models are shared. Open VS Code, run "Loci: Use the Editor’s Models", or choose another model for the agent.',
  )
}

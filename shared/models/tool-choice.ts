import type { LanguageModel, ModelEvent, ModelRequest } from '../core/ports/models.ts'
import { isAppError } from '../schema/errors.ts'

type Choice = ModelRequest['tool_choice']

/** What an endpoint is asked for at the most, by its model; learned from its refusals, for this process. */
const learned = new WeakMap<object, Map<string, 'required' | 'auto'>>()

/**
 * A model whose endpoint may refuse to be told which tool to call, or to call one at all: not every server can (LM Studio
 * takes no name, some models that think take nothing). It is asked again for less, and from then on for no more. What
 * the model then answers is the caller's to judge; it has to judge that anyway. `endpoint` is the provider object.
 */
export function withPossibleChoice(
  endpoint: object,
  model_name: string,
  language_model: LanguageModel,
): LanguageModel {
  return {
    ...language_model,
    generate(request, options) {
      const most = learned.get(endpoint)?.get(model_name)
      const asked = { ...request, tool_choice: atMost(request.tool_choice, most) }
      if (weaker(asked.tool_choice) === null) return language_model.generate(asked, options)
      return askForLess(language_model, asked, options, (less) => {
        const known = learned.get(endpoint) ?? new Map<string, 'required' | 'auto'>()
        learned.set(endpoint, known.set(model_name, less))
      })
    },
  }
}

async function* askForLess(
  language_model: LanguageModel,
  request: ModelRequest,
  options: Parameters<LanguageModel['generate']>[1],
  onRefusal: (less: 'required' | 'auto') => void,
): AsyncGenerator<ModelEvent> {
  for (let asked = request; ;) {
    let begun = false
    try {
      for await (const event of language_model.generate(asked, options)) {
        begun = true
        yield event
      }
      return
    } catch (error) {
      const less = weaker(asked.tool_choice)
      if (begun || less === null || !refusesChoice(error)) throw error
      onRefusal(less)
      asked = { ...asked, tool_choice: less }
    }
  }
}

function refusesChoice(error: unknown): boolean {
  return isAppError(error, 'llm_bad_request') && /tool[ _-]?choice/i.test(error.message)
}

function weaker(choice: Choice): 'required' | 'auto' | null {
  if (typeof choice === 'object') return 'required'
  return choice === 'required' ? 'auto' : null
}

function atMost(choice: Choice, most: 'required' | 'auto' | undefined): Choice {
  if (most === undefined || choice === 'none') return choice
  if (most === 'auto') return 'auto'
  return typeof choice === 'object' ? 'required' : choice
}

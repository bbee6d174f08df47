import { didYouMean } from '../../shared/schema/near-names.ts'
import type { Wanted, WantedAgent } from './desired.ts'
import type { Plan } from './plan.ts'

/** Handles of models, for those that are named without their provider. */
export class Models {
  readonly #plan: Plan
  #handles: string[] | null = null

  constructor(plan: Plan) {
    this.#plan = plan
  }

  async handleOf({ model: named, llm_config, at, name }: Wanted<WantedAgent>): Promise<string | undefined> {
    const model = named ?? llm_config?.model
    if (model === undefined || model.includes('/')) return model
    this.#handles ??= (await this.#plan.client.letta.models.list()).flatMap(({ handle }) => handle ?? [])
    const found = this.#handles.find((handle) => handle.slice(handle.indexOf('/') + 1) === model)
    if (found === undefined)
      this.#plan.mistakes.push(
        `${at}: there is no model '${model}' of any provider, which agent '${name}' is to use. ${didYouMean(model, this.#handles, 'Connect a provider with `loci connect`.')}`,
      )
    return found
  }
}

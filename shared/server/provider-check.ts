import type { Actor } from '../core/ports/actor.ts'
import type { Models } from '../core/ports/models.ts'
import { messageOf } from '../schema/errors.ts'
import type { Model } from '../schema/model.ts'

/** What a provider answered to a live question for its models. */
export interface ProviderCheck {
  name: string
  /** Where it was asked, without credentials. */
  url: string
  latency_ms: number
  models: Model[]
  /** Why there are none, in words that name the URL; null when it answered. */
  problem: string | null
  /** What it answered instead of a list. */
  status: number | undefined
}

/** Asks for the list of `models`, which knows this one provider. Never rejects. */
export async function checkProvider(
  models: Models,
  actor: Actor,
  provider: { name: string; base_url: string },
): Promise<ProviderCheck> {
  const began = performance.now()
  const asked = await models.list(actor).catch((error: unknown) => ({
    models: [],
    problems: [
      { provider: provider.name, url: provider.base_url, message: messageOf(error), status: undefined },
    ],
  }))
  const latency_ms = Math.round(performance.now() - began)
  const own = asked.models.filter((model) => model.provider_name === provider.name)
  const [problem] = asked.problems
  const url = problem?.url ?? own[0]?.model_endpoint ?? withoutPassword(provider.base_url)
  return {
    name: provider.name,
    url,
    latency_ms,
    models: own,
    problem: problem?.message ?? null,
    status: problem?.status,
  }
}

function withoutPassword(text: string): string {
  const url = URL.parse(text)
  return url ? `${url.origin}${url.pathname}` : text
}

import { oneLine, plain, wrap } from './terminal.ts'

/** What these texts need of a model; the API's `Model` has it. */
export interface ModelSummary {
  name: string
  handle?: string | null | undefined
  provider_name?: string | null | undefined
}

export const DEMO = 'loci/demo'

/** The handle a first agent should use: the first real model there is, else the script that needs no key. */
export function firstModel(models: readonly ModelSummary[]): string {
  return models.map(handleOf).find((handle) => handle !== DEMO) ?? DEMO
}

function handleOf(model: ModelSummary): string {
  return model.handle ?? `${model.provider_name ?? 'loci'}/${model.name}`
}

/** The models by provider, one line each, and each provider that did not answer. */
export function describeModels(
  found: { models: readonly ModelSummary[]; problems: readonly { provider: string; message: string }[] },
  width: number,
): string {
  const byProvider = new Map<string, string[]>()
  for (const handle of found.models.map(handleOf)) {
    const slash = handle.indexOf('/')
    const provider = handle.slice(0, slash)
    byProvider.set(provider, [...(byProvider.get(provider) ?? []), handle.slice(slash + 1)])
  }
  const lines = [...byProvider].map(([provider, names]) => {
    const some = names.slice(0, 4).join(', ') + (names.length > 4 ? ', …' : '')
    return oneLine(`${provider}: ${names.length} (${some})`, width)
  })
  for (const { provider, message } of found.problems) lines.push(oneLine(`${provider}: ${message}`, Infinity))
  if (found.models.some((model) => handleOf(model) !== DEMO))
    return ['Models', ...lines.map((l) => `  ${l}`)].join('\n')
  const problems = found.problems.length > 0
  return [
    ...(problems ? ['Models', ...lines.map((l) => `  ${l}`)] : []),
    wrap(
      `${problems ? 'No model can be reached' : 'No model provider found'}. ${DEMO} works without one: it is a script that shows how memory works. To connect a real model, start Ollama or LM Studio on this machine, run loci connect, or set OPENAI_API_KEY (and OPENAI_BASE_URL for any compatible server), and start Loci again.`,
      width,
    ),
  ].join('\n')
}

/** Two commands for a POSIX shell with curl alone: create an agent, and tell it something. */
export function curlLines(url: string, model: string, name: string): string {
  const json = "-H 'content-type: application/json' -d"
  const agent = {
    name,
    model: plain(model),
    memory_blocks: [
      { label: 'human', value: '' },
      { label: 'persona', value: 'I am a friendly assistant.' },
    ],
  }
  const message = { input: 'My name is Ada and I live in London.' }
  return [
    `agent=$(curl -s ${url}/v1/agents/ ${json} ${quote(JSON.stringify(agent))})`,
    // The answer begins with the id: no tool is needed to read it.
    `agent=\${agent#*'"id":"'}; curl -s ${url}/v1/agents/\${agent%%'"'*}/messages ${json} ${quote(JSON.stringify(message))}; echo`,
  ].join('\n')
}

/** A word for a POSIX shell that nothing in it is read as anything but text. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

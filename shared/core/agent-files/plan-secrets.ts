import type { FileAgent, ImportOptions } from '../../schema/agent-file.ts'
import { isSecretName } from '../../schema/agent.ts'
import type { ReadFile } from './read-file.ts'
import type { Kept } from './kept.ts'

/**
 * The secrets of each agent of a file, in the order of the agents: the names that the file has, with the values that the
 * import is given, else those of the file, else none. What no agent names goes to the first one.
 */
export function planSecrets(
  file: ReadFile,
  options: ImportOptions,
  warnings: string[],
): Record<string, string>[] {
  const given = options.secrets ?? options.env_vars_json ?? {}
  const named = file.agents.map(({ value }) => secretsOf(value))
  const known = new Set(named.flatMap((secrets) => Object.keys(secrets)))
  const more = Object.fromEntries(Object.entries(given).filter(([name]) => !known.has(name)))
  const all = named.map((secrets, i) => ({ ...secrets, ...(i === 0 ? more : {}) }))
  const refused = [...new Set(all.flatMap((secrets) => Object.keys(secrets)))].filter(
    (name) => !isSecretName(name),
  )
  if (refused.length > 0)
    warnings.push(`Secrets ${quoted(refused)} were left out: these cannot be names of variables.`)
  const planned = all.map((secrets) =>
    Object.fromEntries(
      Object.keys(secrets)
        .filter(isSecretName)
        .map((name) => [name, given[name] ?? secrets[name] ?? '']),
    ),
  )
  const empty = planned.flatMap((secrets) => Object.keys(secrets).filter((name) => secrets[name] === ''))
  if (empty.length > 0)
    warnings.push(
      `Secrets ${quoted([...new Set(empty)])} have no value: give them with the import's 'secrets', or set them on the agent.`,
    )
  return planned
}

/**
 * Of secrets the names alone are kept for the next export, in the file's spelling; nothing of it when the agent has
 * others than the file names.
 */
export function hideSecrets(kept: Kept, value: FileAgent, names: readonly string[]): void {
  const same = new Set(names).symmetricDifference(new Set(Object.keys(secretsOf(value)))).size === 0
  for (const key of ['secrets', 'tool_exec_environment_variables']) {
    if (!same) delete kept[key]
    const was = kept[key]
    if (typeof was?.file !== 'object' || was.file === null) continue
    was.file = Array.isArray(was.file)
      ? was.file.map((item: unknown) =>
          typeof item === 'object' && item !== null ? { ...item, value: '' } : '',
        )
      : Object.fromEntries(Object.keys(was.file).map((name) => [name, '']))
  }
}

/** Names, with values where the file has some, in either of V1's spellings, as an object or as a list. */
function secretsOf(value: FileAgent): Record<string, string> {
  const found: Record<string, string> = {}
  for (const given of [value.tool_exec_environment_variables, value.secrets]) {
    const entries: [unknown, unknown][] = Array.isArray(given)
      ? given.flatMap((item: unknown) =>
          typeof item === 'object' && item !== null && 'key' in item
            ? [[item.key, 'value' in item ? item.value : '']]
            : [],
        )
      : Object.entries(given ?? {})
    for (const [name, text] of entries)
      if (typeof name === 'string')
        found[name] = typeof text === 'string' && text !== '' ? text : (found[name] ?? '')
  }
  return found
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ')
}

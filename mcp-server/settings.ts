import { AppError } from '../shared/schema/errors.ts'
import { didYouMean } from '../shared/schema/near-names.ts'

export const TOOLSETS = ['default', 'authoring', 'admin'] as const
export type Toolset = (typeof TOOLSETS)[number]

/** What a server offers: the same for all of its connections. */
export interface McpSettings {
  toolsets: readonly Toolset[]
  /** Only tools that change nothing. */
  read_only: boolean
  /** Name or id of the one agent that everything is about; tools then take no agent. */
  agent: string | null
  /** `file_attach` may read files of this machine: the host runs on it, as the same user. */
  local_files: boolean
}

/** What `loci mcp` offers unless told otherwise. */
export const DEFAULT_SETTINGS: McpSettings = {
  toolsets: ['default'],
  read_only: false,
  agent: null,
  local_files: false,
}

/** `default,authoring` or `all` → the toolsets, in their own order. Throws `invalid_argument` for an unknown one. */
export function parseToolsets(text: string): Toolset[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  if (names.length === 0)
    throw new AppError('invalid_argument', `No toolset is named; there are ${TOOLSETS.join(', ')} and all.`)
  for (const name of names) {
    if (name === 'all' || TOOLSETS.some((known) => known === name)) continue
    const hint = didYouMean(name, [...TOOLSETS, 'all'], '')
    throw new AppError('invalid_argument', `There is no toolset '${name}'. ${hint}`)
  }
  return TOOLSETS.filter((known) => names.includes('all') || names.includes(known))
}

import { agentEntries } from './agents-view.ts'
import { blockEntries } from './blocks-view.ts'
import type { Entry } from './entry.ts'
import type { Services } from '../services.ts'
import { toolEntries } from './tools-view.ts'
import { createTree } from './tree.ts'

/** The views of the Loci container, by the ends of their ids. */
export type ViewName = 'agents' | 'blocks' | 'tools'

/** The tree views and what refreshes them. Returns the rows of each, as they are now. */
export function registerViews({ context, library, onDidChangeLibrary, prepare, command }: Services) {
  const roots: Record<ViewName, () => Entry[]> = {
    agents: () => agentEntries(library),
    blocks: () => blockEntries(library),
    tools: () => toolEntries(library),
  }
  const trees = [
    createTree('loci.agents', { prepare, roots: roots.agents }),
    createTree('loci.blocks', { prepare, roots: roots.blocks }),
    createTree('loci.tools', { prepare, roots: roots.tools }),
  ]
  context.subscriptions.push(
    ...trees,
    onDidChangeLibrary(() => {
      for (const tree of trees) tree.refresh()
    }),
    command('loci.refresh', 'refresh', () => library.reload()),
  )
  return { entries: (view: ViewName) => roots[view]() }
}

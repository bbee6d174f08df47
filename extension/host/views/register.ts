import { window } from 'vscode'
import { attachTo } from '../agents/attach.ts'
import { told } from '../failures.ts'
import type { Services } from '../services.ts'
import { agentEntries } from './agents-view.ts'
import { blockEntries } from './blocks-view.ts'
import { createDragAndDrop } from './drag-and-drop.ts'
import type { Entry } from './entry.ts'
import { toolEntries } from './tools-view.ts'
import { createTree } from './tree.ts'
import { t } from '../l10n.ts'

/** The views of the Loci container, by the ends of their ids. */
export type ViewName = 'agents' | 'blocks' | 'tools'

/**
 * The tree views, what filters and refreshes them, and dragging between them. Returns the rows of each, as
 * they are now, and those that were selected last.
 */
export function registerViews({ context, server, library, onDidChangeLibrary, prepare, command }: Services) {
  const roots: Record<ViewName, () => Entry[]> = {
    agents: () => agentEntries(library),
    blocks: () => blockEntries(library),
    tools: () => toolEntries(library),
  }
  const dragAndDrop = createDragAndDrop((dragged, agent_id) =>
    told(t('attach it'), server, async () => attachTo(await server.client(), library, dragged, agent_id)),
  )
  let selection: readonly Entry[] = []
  const selected = (rows: readonly Entry[]) => {
    selection = rows
  }
  const views: ViewName[] = ['agents', 'blocks', 'tools']
  const trees = views.map((name) => {
    const tree = createTree(`loci.${name}`, { prepare, roots: roots[name], dragAndDrop, selected })
    context.subscriptions.push(
      tree,
      command(`loci.${name}.filter`, t('filter the view'), async () => {
        const text = await window.showInputBox({
          title: t('Filter {0}', name),
          prompt: t('Show only what has this text in its name, description or content.'),
          value: tree.filterText,
        })
        if (text !== undefined) tree.filter(text)
      }),
      command(`loci.${name}.clearFilter`, t('clear the filter'), () => Promise.resolve(tree.filter(''))),
    )
    return tree
  })
  context.subscriptions.push(
    onDidChangeLibrary(() => {
      for (const tree of trees) tree.refresh()
    }),
    command('loci.refresh', 'refresh', () => library.reload()),
  )
  return { entries: (view: ViewName) => roots[view](), selection: () => selection }
}

import {
  commands,
  EventEmitter,
  MarkdownString,
  ThemeColor,
  ThemeIcon,
  TreeItem,
  TreeItemCollapsibleState,
  window,
  type Disposable,
  type TreeDataProvider,
  type TreeDragAndDropController,
} from 'vscode'
import { filtered, type Entry } from './entry.ts'
import { t } from '../l10n.ts'

/** Where a tree gets its rows: `prepare` is awaited with the view's progress bar, then `roots` is read. */
export interface TreeSource {
  prepare(): Promise<void>
  roots(): Entry[]
  dragAndDrop: TreeDragAndDropController<Entry>
  selected(rows: readonly Entry[]): void
}

/** A contributed view. */
export interface LociTree extends Disposable {
  /** Reads the rows again. */
  refresh(): void
  /** Shows only the roots, and the rows under them, that have this text; an empty one shows all. */
  filter(text: string): void
  readonly filterText: string
}

/** A contributed view filled with entries; dispose ends the view's subscription. */
export function createTree(viewId: string, source: TreeSource): LociTree {
  const changed = new EventEmitter<void>()
  let filterText = ''
  const provider: TreeDataProvider<Entry> = {
    onDidChangeTreeData: changed.event,
    getTreeItem: treeItem,
    async getChildren(parent) {
      if (parent) return parent.children?.() ?? []
      await source.prepare()
      return filtered(source.roots(), filterText)
    },
  }
  const view = window.createTreeView(viewId, {
    treeDataProvider: provider,
    showCollapseAll: true,
    canSelectMany: true,
    dragAndDropController: source.dragAndDrop,
  })
  view.onDidChangeSelection(({ selection }) => source.selected(selection))
  return {
    refresh: () => changed.fire(),
    filter(text) {
      filterText = text.trim()
      // An empty text would leave the old one: only undefined takes it away.
      ;(view as { message: string | undefined }).message =
        filterText === '' ? undefined : t('Only what has “{0}”', filterText)
      void commands.executeCommand('setContext', `${viewId}.filtered`, filterText !== '')
      changed.fire()
    },
    get filterText() {
      return filterText
    },
    dispose() {
      view.dispose()
      changed.dispose()
    },
  }
}

function treeItem(entry: Entry): TreeItem {
  const { Collapsed, Expanded, None } = TreeItemCollapsibleState
  const open = entry.expanded ? Expanded : Collapsed
  const item = new TreeItem(entry.label, entry.children ? open : None)
  item.id = entry.id
  item.description = entry.description
  item.tooltip = tooltip(entry)
  item.iconPath = new ThemeIcon(
    entry.icon,
    entry.color === undefined ? undefined : new ThemeColor(entry.color),
  )
  item.contextValue = [entry.kind, ...(entry.flags ?? [])].join(' ')
  item.accessibilityInformation = { label: entry.spoken }
  if (entry.opens !== undefined) {
    item.command = { command: entry.opens, title: t('Open'), arguments: [entry] }
  } else if (entry.chat_agent_id !== undefined) {
    item.command = { command: 'loci.openChat', title: t('Open Chat'), arguments: [entry.chat_agent_id] }
  }
  return item
}

function tooltip({ tooltip: { heading, lines, text } }: Entry): MarkdownString {
  const markdown = new MarkdownString('**').appendText(heading).appendMarkdown('**')
  for (const line of lines) markdown.appendMarkdown('\n\n').appendText(line)
  if (text) markdown.appendMarkdown('\n\n').appendCodeblock(text.slice(0, 2000), 'text')
  return markdown
}

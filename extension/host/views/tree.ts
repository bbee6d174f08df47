import {
  EventEmitter,
  MarkdownString,
  ThemeIcon,
  TreeItem,
  TreeItemCollapsibleState,
  window,
  type Disposable,
  type TreeDataProvider,
} from 'vscode'
import type { Entry } from './entry.ts'

/** Where a tree gets its rows: `prepare` is awaited with the view's progress bar, then `roots` is read. */
export interface TreeSource {
  prepare(): Promise<void>
  roots(): Entry[]
}

/** A contributed view filled with entries. `refresh` reads the rows again; dispose ends the view's subscription. */
export function createTree(viewId: string, source: TreeSource): Disposable & { refresh(): void } {
  const changed = new EventEmitter<void>()
  const provider: TreeDataProvider<Entry> = {
    onDidChangeTreeData: changed.event,
    getTreeItem: treeItem,
    async getChildren(parent) {
      if (parent) return parent.children?.() ?? []
      await source.prepare()
      return source.roots()
    },
  }
  const view = window.createTreeView(viewId, { treeDataProvider: provider, showCollapseAll: true })
  return {
    refresh: () => changed.fire(),
    dispose() {
      view.dispose()
      changed.dispose()
    },
  }
}

function treeItem(entry: Entry): TreeItem {
  const { Collapsed, None } = TreeItemCollapsibleState
  const item = new TreeItem(entry.label, entry.children ? Collapsed : None)
  item.id = entry.id
  item.description = entry.description
  item.tooltip = tooltip(entry)
  item.iconPath = new ThemeIcon(entry.icon)
  item.contextValue = entry.kind
  item.accessibilityInformation = { label: entry.spoken }
  if (entry.chat_agent_id !== undefined) {
    item.command = { command: 'loci.openChat', title: 'Open Chat', arguments: [entry.chat_agent_id] }
  }
  return item
}

function tooltip({ tooltip: { heading, lines, text } }: Entry): MarkdownString {
  const markdown = new MarkdownString('**').appendText(heading).appendMarkdown('**')
  for (const line of lines) markdown.appendMarkdown('\n\n').appendText(line)
  if (text) markdown.appendMarkdown('\n\n').appendCodeblock(text.slice(0, 2000), 'text')
  return markdown
}

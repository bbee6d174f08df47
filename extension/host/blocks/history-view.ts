import {
  commands,
  env,
  EventEmitter,
  MarkdownString,
  ThemeIcon,
  TreeItem,
  window,
  type Disposable,
  type Uri,
} from 'vscode'
import type { BlockVersion } from '../../../shared/schema/block.ts'
import { t } from '../l10n.ts'
import type { Library } from '../library.ts'
import { describeChange } from './block-changes.ts'
import { BlockGoneError, type BlockTexts } from './block-texts.ts'
import { authorOf, shownTime } from './show-version.ts'

/** One version of a block, or (`version` null) the row that shows older ones. */
export interface VersionRow {
  block_id: string
  label: string
  /** The block's document. */
  uri: Uri
  version: BlockVersion | null
  /** It is what the block is now. */
  current: boolean
}

/** The view Memory History: the versions of one block, newest first. */
export interface HistoryView extends Disposable {
  /** Shows this block; null shows none. Reads it when the view can be seen. */
  show(block: Pick<VersionRow, 'block_id' | 'label' | 'uri'> | null): void
  /** The block that is shown. */
  readonly shown: Pick<VersionRow, 'block_id' | 'label' | 'uri'> | null
  /** What it shows may be out of date, or could not be read. */
  readonly isStale: boolean
  /** Reads the versions again. */
  refresh(): void
  /** Shows more of the older versions. */
  older(): Promise<void>
}

const VIEW = 'loci.history'

/** `read` runs what reads, and tells the user when it fails. */
export function createHistoryView(
  texts: BlockTexts,
  library: Library,
  read: (work: () => Promise<void>) => Promise<void>,
): HistoryView {
  const changed = new EventEmitter<void>()
  let shown: HistoryView['shown'] = null
  let versions: BlockVersion[] = []
  let more = false
  let fresh = false
  const load = async (before: number | null) => {
    const asked = shown
    if (!asked) return
    const page = await texts.history(asked.block_id, before).catch((error: unknown) => {
      if (error instanceof BlockGoneError) return { versions: [], more: false }
      throw error
    })
    if (shown !== asked) return
    versions = before === null ? page.versions : [...versions, ...page.versions]
    more = page.more
    fresh = true
  }
  const rows = (): VersionRow[] => {
    if (!shown) return []
    const block = shown
    const found = versions.map((version, index) => ({ ...block, version, current: index === 0 }))
    return more ? [...found, { ...block, version: null, current: false }] : found
  }
  const view = window.createTreeView<VersionRow>(VIEW, {
    treeDataProvider: {
      onDidChangeTreeData: changed.event,
      getTreeItem: (row) => versionItem(row, library),
      async getChildren(row) {
        if (row) return []
        if (!fresh) await read(() => load(null))
        return rows()
      },
    },
  })
  return {
    get shown() {
      return shown
    },
    get isStale() {
      return !fresh
    },
    show(block) {
      if (block?.block_id === shown?.block_id && block?.label === shown?.label) return
      shown = block
      versions = []
      more = false
      fresh = false
      ;(view as { description: string | undefined }).description = block?.label
      void commands.executeCommand('setContext', `${VIEW}.block`, block !== null)
      changed.fire()
    },
    refresh() {
      fresh = false
      changed.fire()
    },
    async older() {
      const last = versions.at(-1)
      if (last) await load(last.version)
      changed.fire()
    },
    dispose() {
      view.dispose()
      changed.dispose()
    },
  }
}

function versionItem({ block_id, version, current, ...rest }: VersionRow, library: Library): TreeItem {
  if (!version) {
    const item = new TreeItem(t('Show Older Versions…'))
    item.iconPath = new ThemeIcon('chevron-down')
    item.command = { command: 'loci.history.older', title: t('Show Older Versions…') }
    return item
  }
  const author = authorOf(version, library)
  const time = shownTime(version.created_at, env.language)
  const change = describeChange(version)
  const item = new TreeItem(change)
  item.id = `${block_id}@${version.version}`
  item.description = `${author} · ${time}`
  item.iconPath = new ThemeIcon(version.agent_id === null ? 'account' : 'hubot')
  item.contextValue = current ? 'version current' : 'version'
  item.tooltip = new MarkdownString('**')
    .appendText(t('Version {0}', version.version))
    .appendMarkdown('**\n\n')
    .appendText(`${author}, ${time}`)
    .appendMarkdown('\n\n')
    .appendText(change)
  item.accessibilityInformation = {
    label: t('Version {0} by {1}, {2}: {3}', version.version, author, time, change),
  }
  const row: VersionRow = { block_id, version, current, ...rest }
  item.command = { command: 'loci.compareVersion', title: t('Show What It Changed'), arguments: [row] }
  return item
}

import { commands, env, window, type Uri } from 'vscode'
import { inBackground, told } from '../failures.ts'
import { t } from '../l10n.ts'
import type { Services } from '../services.ts'
import { createBlockDocuments } from './block-documents.ts'
import { blockOf } from './drafts.ts'
import { createHistoryView, type VersionRow } from './history-view.ts'
import { createLimitStatus } from './limit-status.ts'
import { blockMeant, pickBlock, titleOf, uriOf } from './open-block.ts'
import { authorOf, showDifference, shownTime } from './show-version.ts'

/** Memory blocks as documents, with their size, their history and what agents change in them. */
export function registerBlocks(services: Services): void {
  const { context, server, library, onDidChangeLibrary, command } = services
  const { texts, marks } = createBlockDocuments(services)
  const view = createHistoryView(texts, library, (work) => inBackground(server, t('read the history'), work))
  /** The block that a command means; the library knows it. Null when the user changes their mind. */
  const meant = async (given: unknown, title: string) => {
    await server.client()
    if (!library.loaded) await library.load()
    return blockMeant(given) ?? pickBlock(library, title)
  }
  const labelOf = async (id: string) => (library.blocks.get(id) ?? (await texts.read(id))).label
  const showHistory = async (id: string, uri: Uri) =>
    view.show({ block_id: id, label: titleOf(id, await labelOf(id), library), uri })
  const restore = async (id: string, version: number, done: (at: number) => string) => {
    const { label, version: at } = await texts.read(id)
    if (at === null) throw new Error(t('This server keeps no versions.'))
    const restored = await texts.restore(id, version, at)
    const undo = t('Undo')
    void window.showInformationMessage(`${label}: ${done(at)}`, undo).then((choice) => {
      if (choice !== undo) return undefined
      return told(t('undo that'), server, () => texts.restore(id, at, restored.version ?? at))
    })
  }
  const versionRow = (given: unknown) => {
    const row = given as Partial<VersionRow> | undefined
    return row?.block_id !== undefined && row.uri && row.version
      ? { id: row.block_id, uri: row.uri, version: row.version, label: row.label ?? '' }
      : null
  }
  const versionTitle = ({ label, version }: { label: string; version: NonNullable<VersionRow['version']> }) =>
    t('{0}: {1}, {2}', label, authorOf(version, library), shownTime(version.created_at, env.language))

  context.subscriptions.push(
    view,
    createLimitStatus(texts, library, onDidChangeLibrary),
    window.onDidChangeActiveTextEditor((editor) => {
      const id = editor ? blockOf(editor.document) : null
      if (editor && id !== null)
        void inBackground(server, t('read the history'), () => showHistory(id, editor.document.uri))
    }),
    onDidChangeLibrary(() => {
      const { shown } = view
      if (shown && (changedSince(shown.block_id) || view.isStale)) view.refresh()
    }),
    command('loci.openBlock', t('open the block'), async (given) => {
      // From the palette it is another one than the one that is open.
      const id = await meant(given ?? null, t('Open Block'))
      if (id !== null) await window.showTextDocument(await uriOf(id, texts, library))
    }),
    command('loci.blockHistory', t('read the history'), async (given) => {
      const id = await meant(given, t('Memory History'))
      if (id === null) return
      await showHistory(id, await uriOf(id, texts, library))
      await commands.executeCommand('loci.history.focus')
    }),
    command('loci.history.older', t('read the history'), () => view.older()),
    command('loci.compareVersion', t('show that version'), async (given) => {
      const row = versionRow(given)
      if (!row) return
      const { version } = row.version
      await showDifference(row.uri, row.id, versionTitle(row), version - 1, version)
    }),
    command('loci.compareWithCurrent', t('show that version'), async (given) => {
      const row = versionRow(given)
      if (!row) return
      const title = t('{0} ↔ now', versionTitle(row))
      await showDifference(row.uri, row.id, title, row.version.version)
    }),
    command('loci.restoreVersion', t('bring that version back'), async (given) => {
      const row = versionRow(given)
      if (!row) return
      const { version } = row.version
      await restore(row.id, version, () => t('it is again as it was after version {0}.', version))
    }),
    command('loci.showBlockChange', t('show the change'), async (given) => {
      const found = changeOf(given)
      if (!found) return
      const title = t('{0}: before ↔ now', await labelOf(found.id))
      await showDifference(found.uri, found.id, title, found.from)
    }),
    command('loci.undoBlockChange', t('undo the change'), async (given) => {
      const found = changeOf(given)
      if (!found) return
      marks.dismiss(found.uri)
      await restore(found.id, found.from, () => t('the change is undone.'))
    }),
    command('loci.dismissBlockChange', t('hide the marks'), async (given) => {
      const found = changeOf(given)
      if (found) marks.dismiss(found.uri)
    }),
  )

  const seen = new Map<string, number>()
  function changedSince(id: string): boolean {
    const version = library.blocks.get(id)?.version ?? 0
    const before = seen.get(id)
    seen.set(id, version)
    return before !== version
  }
  function changeOf(given: unknown) {
    const uri = (given as Uri | undefined) ?? window.activeTextEditor?.document.uri
    const id = uri ? blockMeant(uri) : null
    const from = uri ? marks.changedFrom(uri) : null
    return uri && id !== null && from !== null ? { uri, id, from } : null
  }
}

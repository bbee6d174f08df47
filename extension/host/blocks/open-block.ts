import { TabInputText, Uri, window, workspace } from 'vscode'
import type { Library } from '../library.ts'
import { t } from '../l10n.ts'
import { byLabel, firstWords, listNames, type Entry } from '../views/entry.ts'
import { addressOf, BLOCK_SCHEME, blockIdOf } from './block-address.ts'
import type { BlockTexts } from './block-texts.ts'

/** The block that a row, an id, a document or else the active editor stands for; null when none does. */
export function blockMeant(given: unknown): string | null {
  if (typeof given === 'string') return given
  if (given instanceof Uri) return given.scheme === BLOCK_SCHEME ? blockIdOf(given.query) : null
  const row = given as Partial<Entry> | null | undefined
  if (row?.kind === 'block' && row.object_id !== undefined) return row.object_id
  const active = window.activeTextEditor?.document.uri
  return given === undefined && active?.scheme === BLOCK_SCHEME ? blockIdOf(active.query) : null
}

/** Asks for one of the blocks. Null when the user changes their mind. */
export async function pickBlock(library: Library, title: string): Promise<string | null> {
  const items = [...library.blocks.values()]
    .map(({ id, label, value }) => ({
      label,
      description: namesOf(library, id).join(', '),
      detail: firstWords(value, 100) || t('(empty)'),
      id,
    }))
    .sort(byLabel)
  const picked = await window.showQuickPick(items, {
    title,
    placeHolder: t('Which memory block?'),
    matchOnDescription: true,
    matchOnDetail: true,
  })
  return picked?.id ?? null
}

/** Where the document of a block is: where it is open, and else where it would be opened. */
export async function uriOf(id: string, texts: BlockTexts, library: Library): Promise<Uri> {
  const open = workspace.textDocuments.find(
    ({ uri, isClosed }) => !isClosed && uri.scheme === BLOCK_SCHEME && uri.query === id,
  )
  const tab = window.tabGroups.all
    .flatMap((group) => group.tabs)
    .map(({ input }) => (input instanceof TabInputText ? input.uri : null))
    .find((uri) => uri?.scheme === BLOCK_SCHEME && uri.query === id)
  if (tab) return tab
  if (open) return open.uri
  const block = library.blocks.get(id) ?? (await texts.read(id))
  const [owner, another] = namesOf(library, id)
  return Uri.from({
    scheme: BLOCK_SCHEME,
    ...addressOf(block, another === undefined ? (owner ?? null) : null),
  })
}

/** `human of Scout`, as a heading. */
export function titleOf(id: string, label: string, library: Library): string {
  const names = namesOf(library, id)
  return names.length === 0 ? label : t('{0} of {1}', label, listNames(names))
}

function namesOf(library: Library, block_id: string): string[] {
  return [...library.agents.values()]
    .filter((agent) => agent.block_ids.includes(block_id))
    .map((agent) => agent.name)
}

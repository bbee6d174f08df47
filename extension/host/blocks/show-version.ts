import { commands, Uri, type TextDocumentContentProvider } from 'vscode'
import type { BlockVersion } from '../../../shared/schema/block.ts'
import type { Library } from '../library.ts'
import { t } from '../l10n.ts'
import { BLOCK_SCHEME, VERSION_SCHEME, versionAddress, versionOf } from './block-address.ts'
import type { BlockTexts } from './block-texts.ts'

/** Serves what blocks were after each of their versions, to look at; `0` is nothing, before the first. */
export function createVersionContent(texts: BlockTexts): TextDocumentContentProvider {
  return {
    provideTextDocumentContent(uri) {
      const asked = versionOf(uri.query)
      if (!asked || asked.version === 0) return ''
      const known = texts.known(asked.block_id)
      if (known && known.revision === asked.version) return known.value
      return texts.textAfter(asked.block_id, asked.version)
    },
  }
}

/** The document of a block at one of its versions. */
export function versionUri(block: Uri, block_id: string, version: number): Uri {
  return Uri.from({ scheme: VERSION_SCHEME, ...versionAddress(block.path, block_id, version) })
}

/** Shows the difference between a version and another, or (without `to`) the document as it is. */
export async function showDifference(
  block: Uri,
  block_id: string,
  title: string,
  from: number,
  to?: number,
): Promise<void> {
  const right = to === undefined ? block.with({ scheme: BLOCK_SCHEME }) : versionUri(block, block_id, to)
  await commands.executeCommand('vscode.diff', versionUri(block, block_id, from), right, title)
}

/** Who made a version: an agent by name, or someone through the editor, a command or the API. */
export function authorOf({ agent_id }: Pick<BlockVersion, 'agent_id'>, library: Library): string {
  if (agent_id === null) return t('You or an app')
  return library.agents.get(agent_id)?.name ?? t('An agent that is gone')
}

/** A time as the editor's language writes it: only the hour for today, without the year for this one. */
export function shownTime(date: string, language: string, now = new Date()): string {
  const then = new Date(date)
  const time = { hour: 'numeric', minute: '2-digit' } as const
  const day = { month: 'short', day: 'numeric' } as const
  const year = then.getFullYear() === now.getFullYear() ? {} : ({ year: 'numeric' } as const)
  const parts = then.toDateString() === now.toDateString() ? time : { ...time, ...day, ...year }
  return new Intl.DateTimeFormat(language, parts).format(then)
}

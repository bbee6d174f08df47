import { Range, window, WorkspaceEdit, workspace, type TextDocument, type Uri } from 'vscode'
import { t } from '../l10n.ts'
import type { BlockText } from './block-texts.ts'
import { showDifference } from './show-version.ts'

export type Choice = 'mine' | 'theirs'

/** Asks, once for each document at a time, whose text of a block stays. Null when the user puts it off. */
export function createConflicts(authorOf: (block_id: string) => Promise<string>) {
  const asked = new Map<string, Promise<Choice | null>>()
  return {
    ask(uri: Uri, theirs: BlockText): Promise<Choice | null> {
      const key = uri.toString()
      const pending = asked.get(key) ?? ask(uri, theirs, authorOf).finally(() => asked.delete(key))
      asked.set(key, pending)
      return pending
    },
  }
}

async function ask(
  uri: Uri,
  theirs: BlockText,
  authorOf: (block_id: string) => Promise<string>,
): Promise<Choice | null> {
  const text = t(
    '{0} changed the block {1} while you were editing it. Your text is not saved yet, and not lost.',
    await authorOf(theirs.id),
    theirs.label,
  )
  const [compare, mine, others] = [t('Compare'), t('Keep Mine'), t('Take Theirs')]
  for (;;) {
    const choice = await window.showWarningMessage(text, compare, mine, others)
    if (choice === mine) return 'mine'
    if (choice === others) return 'theirs'
    if (choice !== compare) return null
    const title = t('{0}: theirs ↔ yours', theirs.label)
    // The question stays while the difference is looked at.
    await showDifference(uri, theirs.id, title, theirs.revision)
  }
}

/** Puts another text into a document; Undo brings the old one back. */
export async function replaceText(document: TextDocument, text: string): Promise<void> {
  const edit = new WorkspaceEdit()
  const end = document.lineAt(document.lineCount - 1).range.end
  edit.replace(document.uri, new Range(0, 0, end.line, end.character), text)
  await workspace.applyEdit(edit)
}

import { Range, window, WorkspaceEdit, workspace, type TextDocument, type Uri } from 'vscode'
import { t } from '../l10n.ts'
import type { BlockText } from './block-texts.ts'
import { showDifference } from './show-version.ts'

export type Choice = 'mine' | 'theirs'

/** Asks whose text of a block stays. */
export interface Conflicts {
  /**
   * Once for each document at a time; null when the user puts it off. A save asks in a way that stays until it is
   * answered, also when the user has been told before: then only that answer counts.
   */
  ask(uri: Uri, theirs: BlockText, options: { saving: boolean }): Promise<Choice | null>
}

/** `authorOf` says who changed a block last. */
export function createConflicts(authorOf: (block_id: string) => Promise<string>): Conflicts {
  const asked = new Map<string, Question>()
  return {
    ask(uri, theirs, { saving }) {
      const key = uri.toString()
      const before = asked.get(key)
      if (before && (before.saving || !saving)) return before.answer
      const { promise, resolve, reject } = Promise.withResolvers<Choice | null>()
      const question: Question = {
        saving,
        answer: promise,
        settle(choice) {
          if (asked.get(key) === question) asked.delete(key)
          resolve(choice)
        },
      }
      asked.set(key, question)
      before?.settle(null)
      const settled = async () => {
        try {
          const choice = await showQuestion(uri, theirs, { saving, authorOf })
          // Both look the same on the screen: what is answered to the older one is the answer to the newer one.
          if (choice !== null) asked.get(key)?.settle(choice)
          question.settle(choice)
        } catch (error) {
          if (asked.get(key) === question) asked.delete(key)
          reject(error)
        }
      }
      void settled()
      return promise
    },
  }
}

interface Question {
  saving: boolean
  answer: Promise<Choice | null>
  settle(choice: Choice | null): void
}

async function showQuestion(
  uri: Uri,
  theirs: BlockText,
  { saving, authorOf }: { saving: boolean; authorOf: (block_id: string) => Promise<string> },
): Promise<Choice | null> {
  const text = t(
    '{0} changed the block {1} while you were editing it. Your text is not saved yet, and not lost.',
    await authorOf(theirs.id),
    theirs.label,
  )
  const [compare, mine, others] = [t('Compare'), t('Keep Mine'), t('Take Theirs')]
  // What is wrong stays on the screen; a warning goes to the list of notifications after a while.
  const show = (...buttons: string[]) =>
    saving ? window.showErrorMessage(text, ...buttons) : window.showWarningMessage(text, ...buttons)
  for (;;) {
    const choice = await show(compare, mine, others)
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

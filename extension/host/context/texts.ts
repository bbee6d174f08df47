import { Uri, window, workspace, type Disposable } from 'vscode'
import { t } from '../l10n.ts'

const SCHEME = 'loci-text'
/** Texts kept for tabs that show them; the oldest go. */
const KEPT = 50

/** Texts in editors to read: they cannot be edited and are never asked to be saved. */
export interface Texts extends Disposable {
  /** Opens `text` beside what is in front; a tab of this name shows it anew. */
  show(name: string, text: string): Promise<void>
}

/** Texts live as long as the window. The caller disposes it. */
export function createTexts(): Texts {
  const texts = new Map<string, string>()
  const provider = workspace.registerTextDocumentContentProvider(SCHEME, {
    provideTextDocumentContent: ({ path }) =>
      texts.get(path) ?? t('This text was not kept. Open it again where it came from.'),
  })
  let last = 0
  return {
    async show(name, text) {
      // A folder of its own: two texts of one name are two documents.
      const uri = Uri.from({
        scheme: SCHEME,
        path: `/${++last}/${name.replaceAll(/[/\\?#\s]+/g, ' ').trim()}`,
      })
      texts.set(uri.path, text)
      const [oldest] = texts.keys()
      if (texts.size > KEPT && oldest !== undefined) texts.delete(oldest)
      await window.showTextDocument(await workspace.openTextDocument(uri), { preview: true })
    },
    dispose: () => void provider.dispose(),
  }
}

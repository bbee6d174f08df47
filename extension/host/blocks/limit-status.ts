import {
  env,
  StatusBarAlignment,
  ThemeColor,
  window,
  workspace,
  type Disposable,
  type TextDocument,
} from 'vscode'
import { t } from '../l10n.ts'
import type { Library } from '../library.ts'
import { countCharacters, type BlockTexts } from './block-texts.ts'
import { blockOf } from './drafts.ts'
import { limitLook } from './limit-look.ts'

/** Characters are counted this long after a key, in milliseconds: long texts take a moment. */
const PAUSE = 80

/** In the status bar, for the block in the active editor: how long it is, how long it should be. */
export function createLimitStatus(
  texts: BlockTexts,
  library: Library,
  changed: (listener: () => void) => Disposable,
) {
  const item = window.createStatusBarItem('loci.limit', StatusBarAlignment.Right, 100)
  item.name = t('Loci: Size of the Memory Block')
  item.command = 'loci.blockHistory'
  let timer: NodeJS.Timeout | undefined
  const show = () => {
    const document = window.activeTextEditor?.document
    const id = document ? blockOf(document) : null
    const block = id === null ? null : (library.blocks.get(id) ?? texts.known(id))
    if (!document || !block) return item.hide()
    const look = limitLook({ ...block, characters: countCharacters(document.getText()) }, env.language)
    item.text = look.text
    item.tooltip = look.tooltip
    item.accessibilityInformation = { label: look.tooltip }
    item.backgroundColor = look.over ? new ThemeColor('statusBarItem.warningBackground') : undefined
    item.show()
  }
  const soon = (document: TextDocument) => {
    if (document !== window.activeTextEditor?.document) return
    clearTimeout(timer)
    timer = setTimeout(show, PAUSE)
  }
  const listening = [
    item,
    window.onDidChangeActiveTextEditor(show),
    workspace.onDidChangeTextDocument(({ document }) => soon(document)),
    changed(show),
  ]
  show()
  return {
    dispose() {
      clearTimeout(timer)
      for (const each of listening) each.dispose()
    },
  }
}

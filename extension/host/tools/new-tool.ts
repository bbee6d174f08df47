import { commands, FileSystemError, Selection, Uri, window, workspace, type WorkspaceFolder } from 'vscode'
import { languageOf } from '../../../shared/client/tool-files.ts'
import { PACKAGE_JSON, refusedName, scaffold, type Style } from '../../../shared/client/tool-templates.ts'
import { findTool } from './outline.ts'
import { toolsFolder } from './tool-document.ts'
import { t } from '../l10n.ts'

const STYLES: { label: string; description: string; detail: string; style: Style }[] = [
  {
    label: '$(symbol-method) TypeScript',
    description: t('an exported function'),
    detail: t('Its types and its comment are what the model is told.'),
    style: 'function',
  },
  {
    label: `$(symbol-interface) ${t('TypeScript with zod')}`,
    description: t('a schema written out'),
    detail: t('It imports loci/tool and zod, which need not be installed to run or test it'),
    style: 'zod',
  },
  {
    label: '$(snake) Python',
    description: t('a function with annotations and a docstring'),
    detail: t('They are what the model is told. Python 3.9 or later runs it.'),
    style: 'python',
  },
]

/**
 * Asks for folder, name and language, writes a tool that works with its unit test, and opens it. Nothing that is there is
 * replaced. Null when the user changes their mind.
 */
export async function newTool(): Promise<Uri | null> {
  const folder = await chosenFolder()
  if (!folder) return null
  const place = toolsFolder(folder)
  const style = await window.showQuickPick(STYLES, {
    title: t('New Tool (1/2): Language'),
    placeHolder: t('What is the tool written in?'),
    ignoreFocusOut: true,
  })
  if (!style) return null
  const name = await window.showInputBox({
    title: t('New Tool (2/2): Name'),
    prompt: t('What does the agent call it? A verb says best what it does.'),
    placeHolder: 'greet',
    ignoreFocusOut: true,
    validateInput: async (value) =>
      refusedName(value.trim()) ?? (await takenIn(place, value.trim(), style.style)),
  })
  if (name === undefined) return null
  return writeTool(place, name.trim(), style.style)
}

async function chosenFolder(): Promise<WorkspaceFolder | null> {
  const folders = workspace.workspaceFolders ?? []
  if (folders.length > 1)
    return (await window.showWorkspaceFolderPick({ placeHolder: t('In which folder?') })) ?? null
  if (folders[0]) return folders[0]
  const text = t('Open a folder first: tools are files in its .loci/tools.')
  void window.showInformationMessage(text, t('Open Folder…')).then((choice) => {
    if (choice !== undefined) return commands.executeCommand('vscode.openFolder')
    return undefined
  })
  return null
}

async function takenIn(place: Uri, name: string, style: Style): Promise<string | null> {
  for (const file of scaffold(name, style))
    if (await exists(Uri.joinPath(place, file.name))) return t('There is a {0} already.', file.name)
  return null
}

async function writeTool(place: Uri, name: string, style: Style): Promise<Uri> {
  const taken = await takenIn(place, name, style)
  if (taken !== null) throw new Error(t('{0} Nothing was written.', taken))
  const files = scaffold(name, style)
  const needsPackage = style !== 'python' && !(await exists(Uri.joinPath(place, PACKAGE_JSON.name)))
  for (const { name: file, text } of [...files, ...(needsPackage ? [PACKAGE_JSON] : [])])
    await workspace.fs.writeFile(Uri.joinPath(place, file), new TextEncoder().encode(text))
  const [tool] = files
  const uri = Uri.joinPath(place, tool?.name ?? '')
  await showTool(uri)
  window.setStatusBarMessage(
    `$(check) ${t('{0} and its unit test, {1}, are written', name, files[1]?.name)}`,
    8_000,
  )
  return uri
}

/** Opens the file of a tool at its function; `preview` in the tab that the next file takes. */
export async function showTool(uri: Uri, { preview = false } = {}): Promise<void> {
  const document = await workspace.openTextDocument(uri)
  const language = languageOf(uri.path)
  const place = language && findTool(document.getText(), language)
  const editor = await window.showTextDocument(document, { preview })
  if (!place) return
  const { range } = document.lineAt(place.line)
  editor.selection = new Selection(
    range.start.line,
    place.column,
    range.start.line,
    place.column + place.name.length,
  )
  editor.revealRange(range)
}

async function exists(uri: Uri): Promise<boolean> {
  try {
    await workspace.fs.stat(uri)
    return true
  } catch (error) {
    if (error instanceof FileSystemError && error.code === 'FileNotFound') return false
    throw error
  }
}

import { RelativePattern, Uri, window, workspace, type TextDocument, type WorkspaceFolder } from 'vscode'
import {
  isTestName,
  isToolName,
  languageOf,
  parseToolSettings,
  settingsName,
  testedName,
  TOOLS_FOLDER,
  type ToolFile,
} from '../../../shared/client/tool-files.ts'
import { t } from '../l10n.ts'

/** The documents of tools and their tests. */
export const TOOL_DOCUMENTS = { scheme: 'file', pattern: '**/.loci/tools/*.{ts,mts,py}' }

/** The folder of a workspace folder's tools. */
export function toolsFolder(folder: WorkspaceFolder): Uri {
  return Uri.joinPath(folder.uri, ...TOOLS_FOLDER)
}

/** What finds the files of a workspace folder's tools. */
export function inToolsFolder(folder: WorkspaceFolder, names = '*'): RelativePattern {
  return new RelativePattern(toolsFolder(folder), names)
}

/** Name of the file at `uri`. */
export function nameOf(uri: Uri): string {
  return uri.path.slice(uri.path.lastIndexOf('/') + 1)
}

/** Whether this is the file of a tool, and no test. */
export function isTool(uri: Uri): boolean {
  return isInToolsFolder(uri) && isToolName(nameOf(uri))
}

/** Whether this is the file of a tool's unit test. */
export function isTest(uri: Uri): boolean {
  return isInToolsFolder(uri) && languageOf(uri.path) !== null && isTestName(nameOf(uri))
}

function isInToolsFolder(uri: Uri): boolean {
  return uri.scheme === 'file' && uri.path.split('/').slice(-3, -1).join('/') === TOOLS_FOLDER.join('/')
}

/** The tool that this file is the test of. */
export function testedBy(test: Uri): Uri {
  return Uri.joinPath(test, '..', testedName(nameOf(test)))
}

/** All tools of the workspace. */
export async function workspaceTools(): Promise<Uri[]> {
  const found = (workspace.workspaceFolders ?? []).map((folder) =>
    workspace.findFiles(inToolsFolder(folder), null),
  )
  return (await Promise.all(found)).flat().filter(isTool).sort(byPath)
}

export function byPath(a: Uri, b: Uri): number {
  return a.path.localeCompare(b.path)
}

/**
 * The tool that a command means: the one of the file it was given, else the one in the editor in front (from its test,
 * too), else the one that the user picks. Null when the user changes their mind. Throws when there are no tools.
 */
export async function meantTool(given: unknown, title: string): Promise<Uri | null> {
  const uri = given instanceof Uri ? given : window.activeTextEditor?.document.uri
  if (uri && isTool(uri)) return uri
  if (uri && isTest(uri)) return testedBy(uri)
  const tools = await workspaceTools()
  if (tools.length === 0)
    throw new Error(t('There is no tool in .loci/tools of this workspace. “Loci: New Tool” makes one.'))
  const items = tools.map((tool) => ({
    label: nameOf(tool),
    description: workspace.asRelativePath(tool),
    tool,
  }))
  return (await window.showQuickPick(items, { title, placeHolder: t('Which tool?') }))?.tool ?? null
}

/**
 * The tool as it is in the editor, saved or not, with the settings beside it. Throws `invalid_argument` for settings that
 * cannot be read.
 */
export async function readTool(uri: Uri): Promise<ToolFile> {
  const source_type = languageOf(uri.path)
  if (!source_type)
    throw new Error(t('{0} is no tool: tools are .ts or .py files.', workspace.asRelativePath(uri)))
  const source_code = await textOf(uri)
  if (source_code === null) throw new Error(t('{0} is not there.', workspace.asRelativePath(uri)))
  const beside = uri.with({ path: settingsName(uri.path) })
  const settings = await textOf(beside)
  return {
    path: workspace.asRelativePath(uri),
    source_type,
    source_code,
    settings: settings === null ? {} : parseToolSettings(settings, workspace.asRelativePath(beside)),
  }
}

/** The text of a file as it is in the editor, else on disk; null when there is none. Throws when it cannot be read. */
export async function textOf(uri: Uri): Promise<string | null> {
  const open = openDocument(uri)
  if (open) return open.getText()
  try {
    return new TextDecoder().decode(await workspace.fs.readFile(uri))
  } catch (error) {
    if ((error as { code?: unknown }).code === 'FileNotFound') return null
    throw error
  }
}

/** The document of this file, when it is open. */
export function openDocument(uri: Uri): TextDocument | undefined {
  return workspace.textDocuments.find((document) => document.uri.toString() === uri.toString())
}

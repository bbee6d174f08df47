import { Uri, window, workspace } from 'vscode'
import {
  fileName,
  languageOf,
  readSource,
  settingsName,
  settingsOf,
} from '../../../shared/client/tool-files.ts'
import type { Services } from '../services.ts'
import { showTool } from './new-tool.ts'
import { findTool } from './outline.ts'
import { serverSourceUri, serverToolName } from './server-documents.ts'
import { differs, toolNamed, type ServerTool } from './server-tool.ts'
import { nameOf, readTool, textOf, toolsFolder, workspaceTools } from './tool-document.ts'
import { t } from '../l10n.ts'

/**
 * Opens a tool: its file in this workspace, else the server's source, which can be read only. `given` is a row, an id or a
 * name. Throws when there is no such tool.
 */
export async function openTool(given: unknown, { server, library }: Services): Promise<void> {
  const client = await server.client()
  if (!library.loaded) await library.load()
  const wanted = typeof given === 'string' ? given : (given as { object_id?: string } | undefined)?.object_id
  const tools = [...library.tools.values()]
  const known = wanted === undefined ? await picked(tools) : find(tools, wanted)
  if (known === null) return
  if (!known) throw new Error(t('There is no tool {0} any more.', wanted))
  if (known.tool_type === 'custom') {
    const file = await fileOf(known.name)
    if (file) return showTool(file, { preview: true })
  }
  const tool = await toolNamed(client, known.name)
  if (!tool) throw new Error(t('There is no tool {0} any more.', known.name))
  await window.showTextDocument(await workspace.openTextDocument(serverSourceUri(tool)), { preview: true })
}

interface Known {
  id: string
  name: string
  tool_type: string
}

function find(tools: readonly Known[], wanted: string): Known | undefined {
  return tools.find(({ id }) => id === wanted) ?? tools.find(({ name }) => name === wanted)
}

async function picked(tools: readonly Known[]): Promise<Known | null> {
  const own = tools.filter(({ tool_type }) => tool_type === 'custom')
  const items = own.map((tool) => ({ label: tool.name, tool })).sort((a, b) => a.label.localeCompare(b.label))
  if (items.length === 0)
    throw new Error(t('There are no tools of your own on the server yet. “Loci: New Tool” makes one.'))
  return (
    (await window.showQuickPick(items, { title: t('Open Tool'), placeHolder: t('Which tool?') }))?.tool ??
    null
  )
}

/** The file of this workspace that has the tool of this name: called so, or with a function that is. */
async function fileOf(name: string): Promise<Uri | null> {
  const files = await workspaceTools()
  const called = files.find((file) => nameOf(file).replace(/\.\w+$/, '') === name)
  if (called) return called
  for (const file of files) {
    const language = languageOf(file.path)
    const text = await textOf(file)
    if (language && text !== null && findTool(text, language)?.name === name) return file
  }
  return null
}

/** Writes the tool of the server that this document shows to a file of the workspace, and opens it. */
export async function pullTool(given: unknown, { server }: Services): Promise<void> {
  const uri = given instanceof Uri ? given : window.activeTextEditor?.document.uri
  if (!uri) return
  const client = await server.client()
  const tool = await toolNamed(client, serverToolName(uri))
  if (!tool) throw new Error(t('There is no tool {0} on the server any more.', serverToolName(uri)))
  const { name, source_code, source_type } = tool
  if (source_code === null || (source_type !== 'python' && source_type !== 'typescript'))
    throw new Error(t('{0} has no source that could be written to a file.', name))
  const folders = workspace.workspaceFolders ?? []
  const folder =
    folders.length > 1
      ? await window.showWorkspaceFolderPick({ placeHolder: t('Into which folder?') })
      : folders[0]
  if (!folder) {
    if (folders.length === 0) throw new Error(t('No folder is open: tools are files in its .loci/tools.'))
    return
  }
  const file = Uri.joinPath(toolsFolder(folder), fileName({ name, source_type }))
  if (!(await mayReplace(file, tool))) return
  const write = (target: Uri, text: string) => workspace.fs.writeFile(target, new TextEncoder().encode(text))
  const settings = settingsOf(tool, await readSource(client, { ...tool, source_code, source_type }))
  await write(file, source_code)
  if (Object.keys(settings).length > 0)
    await write(file.with({ path: settingsName(file.path) }), `${JSON.stringify(settings, null, 2)}\n`)
  await showTool(file)
}

/** True when there is no such file, it is the same, or the user lets it be replaced. */
async function mayReplace(file: Uri, tool: ServerTool): Promise<boolean> {
  if ((await textOf(file)) === null || !differs(await readTool(file), tool)) return true
  const replace = t('Replace')
  const text = t('{0} differs from the server’s.', workspace.asRelativePath(file))
  const detail = t('What is in the file is lost.')
  return (await window.showWarningMessage(text, { modal: true, detail }, replace)) === replace
}

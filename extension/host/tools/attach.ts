import { commands, window, type Uri } from 'vscode'
import { attachToPicked } from '../agents/attach.ts'
import type { Services } from '../services.ts'
import { toolRow } from '../views/rows.ts'
import type { Checks } from './checks.ts'
import { pushTool, toolNamed, type ServerTool } from './server-tool.ts'
import { readTool } from './tool-document.ts'
import { t } from '../l10n.ts'

/** The name of the tool in this file. Throws with what is wrong when it cannot be read. */
export async function nameOfTool(uri: Uri, checks: Checks): Promise<string> {
  const { name, errors } = await checks.check(uri)
  if (errors.length === 0 && name !== null) return name
  const lines = errors.map(({ message, line }) =>
    line === null ? message : t('Line {0}: {1}', line, message),
  )
  throw new Error(lines.join(' ') || t('No tool was found in the file.'))
}

/** The server's tool of this file, which is pushed when the server has none. */
export async function serverToolOf(uri: Uri, { server }: Services, checks: Checks): Promise<ServerTool> {
  const name = await nameOfTool(uri, checks)
  const client = await server.client()
  return (await toolNamed(client, name)) ?? pushTool(client, await readTool(uri), null)
}

/** Asks which agents get the tool of this file, and attaches it; the server gets it first, unless it has it. */
export async function attachThisTool(uri: Uri, services: Services, checks: Checks): Promise<void> {
  const { server, library } = services
  const tool = await serverToolOf(uri, services, checks)
  if (!library.loaded) await library.load()
  if (library.agents.size === 0) {
    const text = t('There is no agent yet that could call {0}.', tool.name)
    void window.showInformationMessage(text, t('New Agent')).then((choice) => {
      if (choice !== undefined) return commands.executeCommand('loci.newAgent')
      return undefined
    })
    return
  }
  const { id, name, tool_type } = tool
  await attachToPicked(await server.client(), library, toolRow({ id, name, tool_type, description: null }))
}

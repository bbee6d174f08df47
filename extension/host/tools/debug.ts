import {
  commands,
  debug,
  extensions,
  ProgressLocation,
  SourceBreakpoint,
  type Uri,
  window,
  workspace,
} from 'vscode'
import type { DebugRun, DebugTarget } from '../../../shared/schema/tool-debug.ts'
import type { LociClient } from '../../../shared/client/http.ts'
import { told } from '../failures.ts'
import type { Services } from '../services.ts'
import { attachThisTool, nameOfTool } from './attach.ts'
import type { Checks } from './checks.ts'
import { armTool, endDebugRun, followDebugRun } from './debug-run.ts'
import { attachTo } from './debug-target.ts'
import { pushTool, toolNamed, type ServerTool } from './server-tool.ts'
import { openDocument, readTool } from './tool-document.ts'
import { t } from '../l10n.ts'

/** The extension that VS Code debugs Python with. */
const DEBUGPY = 'ms-python.debugpy'

/**
 * Lets VS Code's debugger stop the next call that an agent makes of the tool in this file. Returns when the tool waits for
 * that call; what comes of it is told by notifications. Null when the user changes their mind.
 */
export async function debugTool(uri: Uri, services: Services, checks: Checks): Promise<void> {
  if (uri.path.endsWith('.py') && !extensions.getExtension(DEBUGPY)) return offerDebugpy()
  const { server } = services
  const client = await server.client()
  // The call runs the file as it lies on disk.
  await openDocument(uri)?.save()
  const tool = await toolToDebug(uri, services, checks, client)
  if (!tool) return
  const armed = await arm(client, tool, uri)
  if (!armed) return
  // Not awaited: it lasts until the call has ended.
  void told(t('debug {0}', tool.name), server, () => followWithProgress(uri, client, armed, services))
}

/** The server's tool of this file, on an agent; asks where that is missing. */
async function toolToDebug(
  uri: Uri,
  services: Services,
  checks: Checks,
  client: LociClient,
): Promise<ServerTool | null> {
  const name = await nameOfTool(uri, checks)
  const there = await toolNamed(client, name)
  const attach = t('Push and Attach…')
  if (!there) {
    const detail = t('The server does not have it yet, so no agent can call it.')
    const choice = await window.showInformationMessage(t('Debug {0}?', name), { modal: true, detail }, attach)
    if (choice !== attach) return null
    const made = await pushTool(client, await readTool(uri), null)
    await attachThisTool(uri, services, checks)
    return made
  }
  const { library } = services
  if (!library.loaded) await library.load()
  if ([...library.agents.values()].some((agent) => agent.tool_ids.includes(there.id))) return there
  const detail = t('No agent has it yet, so none calls it.')
  const attachIt = t('Attach to Agent…')
  const choice = await window.showInformationMessage(
    t('Debug {0}?', name),
    { modal: true, detail },
    attachIt,
    t('Wait for a Call'),
  )
  if (choice === undefined) return null
  if (choice === attachIt) await attachThisTool(uri, services, checks)
  return there
}

async function arm(client: LociClient, tool: ServerTool, uri: Uri): Promise<DebugRun | null> {
  try {
    return await armTool(client, tool.id, uri.fsPath)
  } catch (error) {
    if ((error as { status?: unknown }).status !== 409) throw error
    const again = t('End It and Debug Again')
    const text = t('{0} waits for a debugger already, here or in another window.', tool.name)
    if ((await window.showWarningMessage(text, again)) !== again) return null
    await endDebugRun(client, tool.id)
    return armTool(client, tool.id, uri.fsPath)
  }
}

async function followWithProgress(
  uri: Uri,
  client: LociClient,
  armed: DebugRun,
  services: Services,
): Promise<void> {
  const { name, warning } = armed
  const title = t('Debug {0}', name)
  const waits = hasBreakpoint(uri)
    ? t('waiting for an agent to call it.')
    : t('waiting for an agent to call it. No breakpoint is set in its file, so it would not stop.')
  const attached = Promise.withResolvers<void>()
  const { following, called } = await window.withProgress(
    { location: ProgressLocation.Notification, cancellable: true, title },
    async (progress, token) => {
      const abort = new AbortController()
      token.onCancellationRequested(() => abort.abort())
      progress.report({ message: `${waits} ${warning}` })
      let by = ''
      const watcher = {
        called(agent_id: string | null) {
          const agent = agent_id === null ? undefined : services.library.agents.get(agent_id)?.name
          by = t('{0} has called it. The turn waits for you.', agent ?? t('an agent'))
          progress.report({ message: by })
        },
        async attach(target: DebugTarget) {
          await attachDebugger(uri, armed, target, services)
          attached.resolve()
        },
      }
      const run = followDebugRun(client, armed, watcher, abort.signal)
      await Promise.race([run, attached.promise])
      // In an object: a promise would be waited for.
      return { following: { run }, called: by }
    },
  )
  // From here on the debugger is what is looked at, and where the call is ended: nothing covers it.
  const quiet = { location: ProgressLocation.Window, title: `${title}: ${called}` }
  tellEnd(await window.withProgress(quiet, () => following.run))
}

async function attachDebugger(
  uri: Uri,
  run: DebugRun,
  target: DebugTarget,
  { context }: Services,
): Promise<void> {
  const configuration = attachTo(run, target, context.asAbsolutePath('dist'))
  const folder = workspace.getWorkspaceFolder(uri)
  if (await debug.startDebugging(folder, configuration)) return
  throw new Error(t('VS Code could not attach to {0}. The call was ended.', `${target.host}:${target.port}`))
}

function hasBreakpoint(uri: Uri): boolean {
  return debug.breakpoints.some(
    (breakpoint) =>
      breakpoint.enabled &&
      breakpoint instanceof SourceBreakpoint &&
      breakpoint.location.uri.toString() === uri.toString(),
  )
}

function tellEnd({ name, outcome, result }: DebugRun): void {
  switch (outcome) {
    case 'success':
      void window.showInformationMessage(t('{0} returned: {1}', name, short(result)))
      return
    case 'error':
      void window.showWarningMessage(t('{0} failed: {1}', name, short(result)))
      return
    case 'expired':
      void window.showInformationMessage(t('{0} is not debugged any more: {1}', name, result ?? ''))
      return
    case 'cancelled':
    case null:
  }
}

function short(text: string | null): string {
  const line = (text ?? '').replaceAll(/\s+/g, ' ').trim()
  return line.length <= 200 ? line : `${line.slice(0, 200)}…`
}

async function offerDebugpy(): Promise<void> {
  const show = t('Show the Extension')
  const text = t('To debug tools in Python, install the extension Python Debugger ({0}).', DEBUGPY)
  if ((await window.showWarningMessage(text, show)) === show)
    await commands.executeCommand('workbench.extensions.search', `@id:${DEBUGPY}`)
}

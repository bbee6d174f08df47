import { commands, Disposable, TabInputWebview, ViewColumn, window, type WebviewPanel } from 'vscode'
import {
  parseContextState,
  type ContextCommands,
  type ContextSnapshot,
  type ContextTarget,
} from '../../context-protocol.ts'
import { told } from '../failures.ts'
import { t } from '../l10n.ts'
import type { Library } from '../library.ts'
import type { Services } from '../services.ts'
import { byLabel, type Entry } from '../views/entry.ts'
import { adoptContextPanel, CONTEXT_VIEW_TYPE, contextTitle } from './context-panel.ts'
import { ContextSession } from './context-session.ts'
import { createTexts } from './texts.ts'

interface Open {
  panel: WebviewPanel
  session: ContextSession
}

/** The Context panel: at most one tab for each agent, opened from its row, its chat or the palette. */
export function registerContext(services: Services): void {
  const { context, server, library, command } = services
  const panels = new Map<string, Open>()
  const texts = createTexts()

  const run = <C extends keyof ContextCommands>(
    session: ContextSession,
    name: C,
    params: ContextCommands[C],
  ) => {
    if (name === 'logs.show') return services.showLogs()
    if (name === 'chat.show') {
      const { agentId, conversationId } = session
      return void commands.executeCommand('loci.openChat', { agentId, conversationId })
    }
    const text = params as ContextCommands['text.show']
    return void told(t('open that text'), server, () => texts.show(text.name, text.text))
  }
  const show = (panel: WebviewPanel, { agentId, conversationId }: ContextTarget) => {
    let tell: (snapshot: ContextSnapshot) => void = () => undefined
    const session = new ContextSession(agentId, server, (snapshot) => tell(snapshot))
    tell = adoptContextPanel(panel, session, conversationId, context, {
      describe: (error) => server.describe(error),
      run: (name, params) => run(session, name, params),
    })
    panels.set(agentId, { panel, session })
    panel.onDidDispose(() => {
      if (panels.get(agentId)?.panel === panel) panels.delete(agentId)
      session.close()
    })
  }
  const everyPanel = (work: (session: ContextSession) => void) => {
    for (const { session } of panels.values()) work(session)
  }

  context.subscriptions.push(
    texts,
    server.onDidChangeData((changes) => everyPanel((session) => session.changed(changes))),
    server.onDidMissChanges(() => everyPanel((session) => session.stale())),
    window.registerWebviewPanelSerializer(CONTEXT_VIEW_TYPE, {
      deserializeWebviewPanel(panel, value) {
        const state = parseContextState(value)
        // Its agent may have got another tab before this one was looked at again.
        if (state) panels.get(state.agentId)?.panel.dispose()
        if (state) show(panel, state)
        else panel.dispose()
        return Promise.resolve()
      },
    }),
    command('loci.openContext', t('open the context'), async (given) => {
      if (!library.loaded) await library.load()
      const target = targetOf(given) ?? (await activeChat()) ?? (await pickedAgent(library))
      if (!target) return
      const { agentId } = target
      const open = panels.get(agentId)
      // Another conversation of the agent: its page is made anew, with it.
      if (open && open.session.conversationId === target.conversationId) return open.panel.reveal()
      const title = contextTitle(library.agents.get(agentId)?.name ?? t('agent'))
      if (open) open.panel.dispose()
      else await closeUnseen(title)
      const options = { enableFindWidget: true }
      show(window.createWebviewPanel(CONTEXT_VIEW_TYPE, title, ViewColumn.Active, options), target)
    }),
    new Disposable(() => everyPanel((session) => session.close())),
  )
}

/** Closes a tab of this title that was there before a reload of the window, and has not been looked at since. */
async function closeUnseen(title: string): Promise<void> {
  const tabs = window.tabGroups.all.flatMap((group) => group.tabs)
  const unseen = tabs.filter(
    ({ input, label }) =>
      label === title && input instanceof TabInputWebview && input.viewType.endsWith(CONTEXT_VIEW_TYPE),
  )
  await window.tabGroups.close(unseen)
}

/** The row or target that the command was called with; null when it came from the palette or a title. */
function targetOf(given: unknown): ContextTarget | null {
  if (typeof given === 'string') return { agentId: given, conversationId: null }
  const { agentId, conversationId, kind, object_id, agent_id } = (given ?? {}) as Partial<
    ContextTarget & Entry
  >
  if (typeof agentId === 'string') return { agentId, conversationId: conversationId ?? null }
  if (kind === 'agent' && object_id !== undefined) return { agentId: object_id, conversationId: null }
  if (kind === 'conversation' && agent_id !== undefined)
    return { agentId: agent_id, conversationId: object_id ?? null }
  return null
}

/** The chat whose tab is in front, as the chat's part tells; null when there is none. */
async function activeChat(): Promise<ContextTarget | null> {
  return (await commands.executeCommand<ContextTarget | null>('loci.activeChat')) ?? null
}

async function pickedAgent(library: Library): Promise<ContextTarget | null> {
  const items = [...library.agents.values()]
    .map(({ id, name, model }) => ({ label: name, description: model ?? '', id }))
    .sort(byLabel)
  const picked = await window.showQuickPick(items, {
    title: t('Open Context'),
    placeHolder: t('Which agent’s context?'),
  })
  return picked ? { agentId: picked.id, conversationId: null } : null
}

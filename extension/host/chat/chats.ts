import {
  commands,
  Disposable,
  Uri,
  ViewColumn,
  window,
  workspace,
  type ExtensionContext,
  type WebviewPanel,
  type WebviewView,
} from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import type { Event as Change } from '../../../shared/schema/event.ts'
import {
  parseChatState,
  type ChatAgent,
  type Notifications,
  type NotificationEnvelope,
} from '../../protocol.ts'
import type { Attachment } from '../../composer-protocol.ts'
import type { ComposerHost } from '../composer/composer-host.ts'
import { delay } from '../delay.ts'
import type { Connection } from '../connection.ts'
import type { Services } from '../services.ts'
import { firstWords } from '../views/entry.ts'
import { createChatCommands, prepareFix, saveChat } from './chat-actions.ts'
import type { ChatActions, OpenChat } from './chat-requests.ts'
import { ChatSession } from './chat-session.ts'
import { fillChatView, type ChatView } from './chat-view.ts'
import type { ChatTarget } from './conversation-calls.ts'
import { createMemoryEdits } from './memory-edits.ts'
import { t } from '../l10n.ts'

/** The type by which VS Code brings chats back after a window reload. */
const CHAT_VIEW_TYPE = 'loci.chat'
/** The view in the side bar, and where it keeps its conversation. */
const SIDE_VIEW = 'loci.chatView'
const SIDE_TARGET = 'loci.chatView.target'

/** All chats of this window: one session for each conversation, at most one tab for each, and the view in the side bar. */
export interface Chats extends Disposable {
  /** Shows the conversation, in the tab that it has or in a new one. */
  open(target: ChatTarget): void
  /** Shows the conversation in the side bar. */
  openInSideBar(target: ChatTarget): Promise<void>
  /** What the side bar shows. */
  readonly sideTarget: ChatTarget | null
  /** The chat that is in front, for commands. */
  readonly active: OpenChat | null
  /** Adds to what is being written in this conversation; whoever looks sees it. */
  attach(target: ChatTarget, attachments: Attachment[]): Promise<void>
  /** Chats of the main conversation of an agent go on with another one, with what is being written. */
  follow(agent_id: string, now: string): Promise<void>
  /** The library changed: titles and models may be others, agents may be gone. */
  refresh(): void
}

interface Shown {
  target: ChatTarget
  view: ChatView
  tab: WebviewPanel | null
}

/** Keeps chats up to date with the connection's changes and brings tabs back after a window reload. */
export function createChats(
  services: Services,
  composer: ComposerHost,
  choose: () => Promise<ChatTarget | null>,
): Chats {
  const { context, server, library } = services
  const chats = new Map<string, OpenChat>()
  const tabs = new Map<string, Shown>()
  /** What conversations are about, in a few words. */
  const subjects = new Map<string, string>()
  let side: (Shown & { webview: WebviewView }) | null = null
  let sideView: WebviewView | null = null
  let active: OpenChat | null = null
  const runCommand = createChatCommands(services)
  const lasting = {
    client: () => server.client(),
    describe: (error: unknown) => server.describe(error),
    back: (signal: AbortSignal) => comeBack(server, signal),
  }

  const chatOf = (target: ChatTarget): OpenChat => {
    const key = keyOf(target)
    const chat = chats.get(key) ?? {
      session: new ChatSession(target, lasting),
      memory: createMemoryEdits(target.agent_id),
    }
    chats.set(key, chat)
    return chat
  }
  const nameOf = ({ agent_id, conversation_id }: ChatTarget) => {
    const name = library.agents.get(agent_id)?.name ?? 'Agent'
    if (conversation_id === null) return name
    const subject = subjects.get(conversation_id)
    return subject === undefined ? t('{0}: conversation', name) : `${name}: ${subject}`
  }
  /** Reads what a conversation is about, for its title. */
  const readSubject = async ({ agent_id, conversation_id }: ChatTarget) => {
    if (conversation_id === null) return
    const { conversations } = await library.details(agent_id)
    const subject = firstWords(conversations.find(({ id }) => id === conversation_id)?.summary ?? '', 30)
    if (subject === '' || subject === subjects.get(conversation_id)) return
    subjects.set(conversation_id, subject)
    api.refresh()
  }
  // A title without a subject is a title; what keeps it from being read is told where the chat is opened.
  const nameAfterSubject = (target: ChatTarget) => void readSubject(target).catch(() => undefined)
  const actions: ChatActions = {
    show: (agent_id, conversation_id) => api.open({ agent_id, conversation_id }),
    save: (chat) => saveChat(chat, nameOf(chat.session.target)),
    prepare: (fix, agent_id) => prepareFix(fix, agent_id, services),
  }

  const showTab = (tab: WebviewPanel, target: ChatTarget, title: string) => {
    const chat = chatOf(target)
    const media = Uri.joinPath(context.extensionUri, 'extension', 'media')
    tab.title = title
    tab.iconPath = {
      light: Uri.joinPath(media, 'chat-light.svg'),
      dark: Uri.joinPath(media, 'chat-dark.svg'),
    }
    const view = fillChatView(tab.webview, chat, {
      context,
      server: lasting,
      title,
      place: 'editor',
      actions,
      compose: (request) => composer.answer(target, request, (other) => api.open(other)),
      run: (command) =>
        runCommand(command, chat, async () => {
          const other = await choose()
          if (other) api.open(other)
        }),
    })
    tabs.set(keyOf(target), { target, view, tab })
    nameAfterSubject(target)
    const noteActive = () => {
      if (tab.active) active = chat
    }
    noteActive()
    const moved = tab.onDidChangeViewState(noteActive)
    tab.onDidDispose(() => {
      moved.dispose()
      view.dispose()
      if (active === chat) active = null
      if (tabs.get(keyOf(target))?.view === view) tabs.delete(keyOf(target))
    })
  }
  const showSide = (webview: WebviewView, target: ChatTarget | null) => {
    side?.view.dispose()
    side = null
    const chat = target && chatOf(target)
    const title = target ? nameOf(target) : 'Chat'
    const view = fillChatView(webview.webview, chat, {
      context,
      server: lasting,
      title,
      place: 'side',
      compose: async (request) =>
        target && composer.answer(target, request, (other) => api.openInSideBar(other)),
      actions: {
        ...actions,
        show: (agent_id, id) => void api.openInSideBar({ agent_id, conversation_id: id }),
      },
      run: (command) =>
        runCommand(command, chat, async () => {
          const other = await choose()
          if (other) await api.openInSideBar(other)
        }),
    })
    webview.description = target ? title : ''
    if (!target) return
    side = { target, view, tab: null, webview }
    nameAfterSubject(target)
  }

  const shown = () => [...tabs.values(), ...(side ? [side] : [])]
  const tell = <N extends keyof Notifications>(
    which: (target: ChatTarget) => boolean,
    name: N,
    params: Notifications[N],
  ) => {
    const news = { kind: 'notification', name, params } as NotificationEnvelope
    for (const { target, view } of shown()) if (which(target)) view.notify(news)
  }
  const changed = async (changes: readonly Change[]) => {
    if (shown().length === 0) return
    if (changes.some(({ type }) => type.startsWith('block.'))) {
      for (const { memory } of chats.values()) memory.forget()
      tell(() => true, 'memory.changed', null)
    }
    const stale = new Set<string>()
    for (const { type, object_id, agent_id } of changes) {
      if (type === 'agent.deleted') tell((target) => target.agent_id === object_id, 'agent.changed', null)
      if (type === 'conversation.deleted')
        tell((target) => target.conversation_id === object_id, 'agent.changed', null)
      if (type === 'conversation.updated') stale.add(object_id)
      for (const { target } of shown()) if (target.conversation_id === object_id) nameAfterSubject(target)
      if (type.startsWith('run.') && agent_id !== null && !isOwnRun(object_id)) stale.add(agent_id)
    }
    tell(
      ({ agent_id, conversation_id }) =>
        stale.has(agent_id) || (conversation_id !== null && stale.has(conversation_id)),
      'chat.stale',
      null,
    )
  }
  const isOwnRun = (run_id: string) => [...chats.values()].some(({ session }) => session.isOwnRun(run_id))

  // A window that ended without saving brings its tabs back without their state.
  const targetCalled = async (name: string): Promise<ChatTarget | null> => {
    if (!library.loaded) await library.load()
    const agent = [...library.agents.values()].find((one) => one.name === name)
    return agent ? { agent_id: agent.id, conversation_id: null } : null
  }

  const subscriptions = Disposable.from(
    server.onDidChangeState((state) => {
      if (state.kind === 'connected') tell(() => true, 'chat.stale', null)
    }),
    server.onDidChangeData((changes) => void changed(changes)),
    workspace.onDidGrantWorkspaceTrust(() => {
      for (const { target, view, tab } of tabs.values()) {
        if (!tab) continue
        view.dispose()
        showTab(tab, target, tab.title)
      }
      if (sideView) showSide(sideView, readTarget(context))
    }),
    window.registerWebviewPanelSerializer(CHAT_VIEW_TYPE, {
      async deserializeWebviewPanel(tab, value) {
        const state = parseChatState(value)
        const target = state
          ? { agent_id: state.agentId, conversation_id: state.conversationId }
          : await targetCalled(tab.title)
        if (target) showTab(tab, target, tab.title)
        else tab.dispose()
      },
    }),
    window.registerWebviewViewProvider(SIDE_VIEW, {
      resolveWebviewView(webview) {
        sideView = webview
        webview.onDidDispose(() => {
          side?.view.dispose()
          side = null
          sideView = null
        })
        showSide(webview, readTarget(context))
      },
    }),
  )

  const api: Chats = {
    open(target) {
      const open = tabs.get(keyOf(target))
      if (open) return open.tab?.reveal()
      const title = nameOf(target)
      const tab = window.createWebviewPanel(CHAT_VIEW_TYPE, title, ViewColumn.Active, {
        enableFindWidget: true,
      })
      return showTab(tab, target, title)
    },
    async openInSideBar(target) {
      await context.workspaceState.update(SIDE_TARGET, target)
      if (sideView && (!side || keyOf(side.target) !== keyOf(target))) showSide(sideView, target)
      await commands.executeCommand(`${SIDE_VIEW}.focus`)
    },
    get sideTarget() {
      return readTarget(context)
    },
    get active() {
      return active
    },
    async attach(target, attachments) {
      await composer.add(target, attachments)
      tell((each) => keyOf(each) === keyOf(target), 'composer.added', { attachments })
    },
    async follow(agent_id, now) {
      const before: ChatTarget = { agent_id, conversation_id: null }
      const target: ChatTarget = { agent_id: now, conversation_id: null }
      const open = tabs.get(keyOf(before))
      const inSide = readTarget(context)
      if (open?.tab) {
        open.view.dispose()
        tabs.delete(keyOf(before))
        showTab(open.tab, target, nameOf(target))
      }
      if (inSide && keyOf(inSide) === keyOf(before)) {
        await context.workspaceState.update(SIDE_TARGET, target)
        if (sideView) showSide(sideView, target)
      }
    },
    refresh() {
      for (const { target, view, tab } of shown()) {
        const agent = library.agents.get(target.agent_id)
        if (!agent) continue
        if (tab) tab.title = nameOf(target)
        const known: ChatAgent = { id: agent.id, name: agent.name, model: agent.model }
        view.notify({ kind: 'notification', name: 'agent.changed', params: known })
      }
      if (side) side.webview.description = nameOf(side.target)
    },
    // Tabs stay: closing them here, when the window reloads, would keep VS Code from bringing them back.
    dispose: () => void subscriptions.dispose(),
  }
  return api
}

function keyOf({ agent_id, conversation_id }: ChatTarget): string {
  return `${agent_id}/${conversation_id ?? ''}`
}

function readTarget(context: ExtensionContext): ChatTarget | null {
  const kept = context.workspaceState.get<Partial<ChatTarget>>(SIDE_TARGET)
  if (typeof kept?.agent_id !== 'string') return null
  return { agent_id: kept.agent_id, conversation_id: kept.conversation_id ?? null }
}

/** The client once the connection is up again; rejects when it failed, was stopped or `signal` aborts. */
async function comeBack(server: Connection, signal: AbortSignal): Promise<LociClient> {
  // What broke may not have been noticed there yet.
  await delay(300, signal)
  for (;;) {
    signal.throwIfAborted()
    const { state } = server
    if (state.kind === 'connected') return server.client()
    if (state.kind === 'failed') throw new Error(state.message)
    if (state.kind === 'stopped')
      throw new Error(t('The server was stopped. The answer goes on when it runs again.'))
    await delay(200, signal)
  }
}

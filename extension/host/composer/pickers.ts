import { QuickPickItemKind, ThemeIcon, Uri, window, type QuickPickItem, type TextEditor } from 'vscode'
import type { LociClient } from '../../../shared/client/http.ts'
import { linesOf, type Attachment, type FileChoice } from '../../composer-protocol.ts'
import { t } from '../l10n.ts'
import { firstWords } from '../views/entry.ts'
import { attachFile, attachSelection, createFileFinder } from './files.ts'

type Letta = LociClient['letta']

/** Which conversation of an agent; null is its main one. */
export interface Conversation {
  agent_id: string
  conversation_id: string | null
}

interface ConversationItem extends QuickPickItem {
  pick?: () => Promise<string | null>
}

const CONVERSATIONS = 200

/** Asks for a conversation of the agent, or makes a new one. Null when the user stays where they are. */
export async function pickConversation(letta: Letta, present: Conversation): Promise<Conversation | null> {
  const { agent_id } = present
  const items = async (): Promise<ConversationItem[]> => {
    const known = await letta.conversations.list({
      agent_id,
      limit: CONVERSATIONS,
      order: 'desc',
      order_by: 'last_message_at',
    })
    const mark = (id: string | null) => (id === present.conversation_id ? { description: t('open now') } : {})
    return [
      {
        label: `$(add) ${t('New Conversation')}`,
        detail: t('Its own messages; memory and tools are those of the agent.'),
        pick: async () => (await letta.conversations.create({ agent_id })).id,
      },
      { label: '', kind: QuickPickItemKind.Separator },
      {
        label: `$(comment-discussion) ${t('Main conversation')}`,
        ...mark(null),
        pick: () => Promise.resolve(null),
      },
      ...known.map(({ id, summary, created_at, last_message_at }): ConversationItem => {
        const date = (last_message_at ?? created_at)?.slice(0, 16).replace('T', ' ') ?? ''
        const name = firstWords(summary ?? '') || t('Conversation of {0}', created_at?.slice(0, 10) ?? id)
        return {
          label: `$(comment) ${name}`,
          description: id === present.conversation_id ? t('open now') : date,
          pick: () => Promise.resolve(id),
        }
      }),
    ]
  }
  const picked = await window.showQuickPick<ConversationItem>(items(), {
    title: t('Conversation'),
    placeHolder: t('Which conversation with this agent?'),
    matchOnDescription: true,
  })
  if (!picked?.pick) return null
  const conversation_id = await picked.pick()
  return conversation_id === present.conversation_id ? null : { agent_id, conversation_id }
}

interface ModelItem extends QuickPickItem {
  handle?: string
}

/** Asks for the model that the agent thinks with; null when it stays, `connect` when a provider is to be connected. */
export async function pickModel(
  letta: Letta,
  present: string | null,
): Promise<{ handle: string } | 'connect' | null> {
  const items = async (): Promise<ModelItem[]> => {
    const models = await letta.models.list()
    const handles = models.map((model): ModelItem => {
      const handle = model.handle ?? model.model
      const size = Math.round(model.context_window / 1000)
      return {
        label: `$(${handle === 'loci/demo' ? 'beaker' : 'sparkle'}) ${handle}`,
        description: handle === present ? t('{0}k context · now', size) : t('{0}k context', size),
        handle,
      }
    })
    return [
      ...handles,
      { label: '', kind: QuickPickItemKind.Separator },
      { label: `$(key) ${t('Connect Model Provider…')}` },
    ]
  }
  const picked = await window.showQuickPick<ModelItem>(items(), {
    title: t('Model'),
    placeHolder: t('What does this agent think with, from its next message on?'),
    matchOnDescription: true,
  })
  if (!picked) return null
  if (picked.handle === undefined) return 'connect'
  return picked.handle === present ? null : { handle: picked.handle }
}

interface ContextItem extends QuickPickItem {
  attach?: () => Promise<Attachment[]>
}

/** Asks what goes with the message: the selection, files of the workspace, or any file or image. */
export async function pickContext(editor: TextEditor | undefined): Promise<Attachment[]> {
  const find = createFileFinder()
  const selection = attachSelection(editor)
  const first: ContextItem[] = [
    ...(selection?.kind === 'selection'
      ? [
          {
            label: `$(selection) ${t('Selection')}`,
            description: `${selection.path}:${linesOf(selection)}`,
            attach: () => Promise.resolve([selection]),
          },
        ]
      : []),
    { label: `$(folder-opened) ${t('File or Image from Disk…')}`, attach: pickFromDisk },
    { label: t('Files of the workspace'), kind: QuickPickItemKind.Separator },
  ]
  const picker = window.createQuickPick<ContextItem>()
  picker.title = t('Add Context')
  picker.placeholder = t('What should the agent see with your message?')
  picker.matchOnDescription = true
  picker.items = first
  picker.busy = true
  const picked = Promise.withResolvers<ContextItem | null>()
  let asked = 0
  const show = async (query: string) => {
    const mine = ++asked
    const found = await find(query)
    if (mine !== asked) return
    picker.items = [...first, ...found.map((file) => fileItem(file, query !== ''))]
    picker.busy = false
  }
  picker.onDidChangeValue((query) => void show(query).catch(picked.reject))
  picker.onDidAccept(() => picked.resolve(picker.selectedItems[0] ?? null))
  picker.onDidHide(() => picked.resolve(null))
  picker.show()
  void show('').catch(picked.reject)
  try {
    const item = await picked.promise
    picker.hide()
    return (await item?.attach?.()) ?? []
  } finally {
    picker.dispose()
  }
}

/** `found`: by letters that VS Code's own filter may not see in it. */
function fileItem({ uri, name, folder }: FileChoice, found: boolean): ContextItem {
  return {
    label: name,
    description: folder,
    iconPath: ThemeIcon.File,
    alwaysShow: found,
    attach: async () => [await attachFile(Uri.parse(uri))],
  }
}

async function pickFromDisk(): Promise<Attachment[]> {
  const uris = await window.showOpenDialog({
    canSelectMany: true,
    openLabel: t('Attach'),
    title: t('Attach'),
  })
  return Promise.all((uris ?? []).map(attachFile))
}

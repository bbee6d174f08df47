import { commands, env, Uri, window, workspace, type TextEditor } from 'vscode'
import type { CommandEnvelope, Fix } from '../../protocol.ts'
import { told } from '../failures.ts'
import type { Services } from '../services.ts'
import { chatMarkdown } from './chat-markdown.ts'
import type { OpenChat } from './chat-requests.ts'
import { t } from '../l10n.ts'

/** Offers to save the conversation as Markdown, and opens what was saved. */
export async function saveChat({ session }: OpenChat, name: string): Promise<void> {
  const messages = await session.all()
  const [folder] = workspace.workspaceFolders ?? []
  const file = `${name.replaceAll(/[^\p{L}\p{N}_-]+/gu, '-') || 'chat'}.md`
  const target = await window.showSaveDialog({
    title: t('Export Chat'),
    filters: { Markdown: ['md'] },
    ...(folder ? { defaultUri: Uri.joinPath(folder.uri, file) } : {}),
  })
  if (!target) return
  await workspace.fs.writeFile(
    target,
    new TextEncoder().encode(chatMarkdown(t('Chat with {0}', name), messages)),
  )
  await window.showTextDocument(target)
}

/** What a button under a failure does before the turn is tried again; false when the user changed their mind. */
export async function prepareFix(fix: Fix, agent_id: string, services: Services): Promise<boolean> {
  if (fix === 'provider') {
    // Whether it helped, the user knows: Retry is beside it.
    await commands.executeCommand('loci.connectProvider')
    return false
  }
  return fix === 'model' ? chooseModel(agent_id, services) : true
}

async function chooseModel(agent_id: string, { server }: Pick<Services, 'server'>): Promise<boolean> {
  const { letta } = await server.client()
  const models = (await letta.models.list()).flatMap((model) => (model.handle ? [model.handle] : []))
  const connect = { label: t('$(key) Connect Model Provider…'), model: null }
  const items = [...models.map((model) => ({ label: model, model })), connect]
  const picked = await window.showQuickPick(items, {
    title: t('Another Model'),
    placeHolder: t('The model that this agent thinks with from now on'),
  })
  if (!picked) return false
  if (picked.model === null) {
    await commands.executeCommand('loci.connectProvider')
    return chooseModel(agent_id, { server })
  }
  await letta.agents.update(agent_id, { model: picked.model })
  return true
}

/** Does the commands of chats; `choose` is that of a view in which another agent is asked for. */
export function createChatCommands(services: Services) {
  let last: TextEditor | undefined = window.activeTextEditor
  services.context.subscriptions.push(
    window.onDidChangeActiveTextEditor((editor) => {
      if (editor) last = editor
    }),
  )
  return (command: CommandEnvelope, chat: OpenChat | null, choose: () => Promise<unknown>) => {
    switch (command.command) {
      case 'logs.show':
        return services.showLogs()
      case 'chat.choose':
        return void told(t('open the chat'), services.server, choose)
      case 'trust.manage':
        return void commands.executeCommand('workbench.trust.manage')
      case 'code.copy':
        return void env.clipboard.writeText(command.params.text)
      case 'code.insert':
        return void told(t('insert the code'), services.server, () => insert(command.params.text, last))
      case 'tool.open':
        return void told(t('open the tool'), services.server, () =>
          openTool(command.params.name, chat, services),
        )
    }
  }
}

/** Into the editor that was active last, in place of what is selected there; into a new one when it is closed. */
async function insert(text: string, last: TextEditor | undefined): Promise<void> {
  const document = last?.document
  if (!last || !document || document.isClosed) {
    await window.showTextDocument(await workspace.openTextDocument({ content: text }))
    return
  }
  const column = last.viewColumn === undefined ? {} : { viewColumn: last.viewColumn }
  const editor = await window.showTextDocument(document, { ...column, selection: last.selection })
  const done = await editor.edit((edit) => {
    for (const selection of editor.selections) edit.replace(selection, text)
  })
  if (!done) throw new Error(t("'{0}' cannot be changed.", document.fileName))
}

async function openTool(name: string, chat: OpenChat | null, { library }: Services): Promise<void> {
  const agent = chat && library.agents.get(chat.session.target.agent_id)
  const own = agent?.tool_ids.flatMap((id) => library.tools.get(id) ?? []) ?? []
  const tool = [...own, ...library.tools.values()].find((one) => one.name === name)
  if (!tool) throw new Error(t("There is no tool '{0}' any more.", name))
  await commands.executeCommand('loci.openTool', tool.id)
}

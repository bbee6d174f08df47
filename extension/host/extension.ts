import { commands, window, workspace, type ExtensionContext } from 'vscode'
import { createChats } from './chat/chats.ts'
import { newAgent } from './commands/new-agent.ts'
import { chooseAgent } from './commands/open-chat.ts'
import { startServer } from './commands/start-server.ts'
import { Connection } from './connection.ts'
import { reportConnectionFailures, told } from './failures.ts'
import { createLibrary } from './library.ts'
import { readSettings } from './settings.ts'
import { createStatus } from './status.ts'
import { agentEntries } from './views/agents-view.ts'
import { blockEntries } from './views/blocks-view.ts'
import { toolEntries } from './views/tools-view.ts'
import type { Entry } from './views/entry.ts'
import { createTree } from './views/tree.ts'

let connection: Connection | null = null

/** What other extensions, and our tests, get from `getExtension('loci.loci').exports`: what is, as it is now. */
export interface LociExports {
  /** Address of the server; null while there is none. */
  serverUrl(): string | null
  /** Process id of the server, when this window started it. */
  serverPid(): number | null
  /** Rows of a view. */
  entries(view: 'agents' | 'blocks' | 'tools'): Entry[]
}

/** Wires the parts together. The server is started by the first view that is shown or the first command that needs it. */
export function activate(context: ExtensionContext): LociExports {
  const log = window.createOutputChannel('Loci', { log: true })
  const server = new Connection({
    script: context.asAbsolutePath('dist/loci.js'),
    settings: readSettings,
    log: {
      info: (line) => log.info(line),
      warn: (line) => log.warn(line),
      error: (line) => log.error(line),
      append: (line) => log.info(`[server] ${line}`),
    },
  })
  connection = server

  const library = createLibrary(
    () => server.client(),
    () => {
      for (const tree of trees) tree.refresh()
      chats.refresh()
    },
  )
  const prepare = async () => {
    // After a failure only the user tries again: by Retry, Refresh or a command.
    if (library.loaded || server.state.kind === 'failed') return
    await told('read the agents', server, () => library.load())
  }
  const roots = {
    agents: () => agentEntries(library),
    blocks: () => blockEntries(library),
    tools: () => toolEntries(library),
  }
  const trees = [
    createTree('loci.agents', { prepare, roots: roots.agents }),
    createTree('loci.blocks', { prepare, roots: roots.blocks }),
    createTree('loci.tools', { prepare, roots: roots.tools }),
  ]
  const chats = createChats(context, server, library, {
    describe: (error) => server.describe(error),
    showLogs: () => log.show(),
  })

  const command = (name: string, doing: string, work: (argument: unknown) => Promise<void>) =>
    commands.registerCommand(name, (argument: unknown) => told(doing, server, () => work(argument)))

  context.subscriptions.push(
    log,
    server,
    createStatus(server),
    reportConnectionFailures(server),
    ...trees,
    chats,
    server.onDidChangeData((changes) => void told('read what changed', server, () => library.apply(changes))),
    server.onDidMissChanges(() => void told('read the agents', server, () => library.reload())),
    workspace.onDidChangeConfiguration((change) => {
      if (!change.affectsConfiguration('loci') || server.state.kind === 'stopped') return
      void told('connect with the new settings', server, async () => {
        await server.stop()
        library.clear()
        await server.client()
      })
    }),
    command('loci.newAgent', 'create the agent', async () => {
      const client = await server.client()
      await library.load()
      const created = await newAgent(
        client,
        [...library.agents.values()].map((agent) => agent.name),
      )
      if (created) chats.open(created.id, created.name)
    }),
    command('loci.openChat', 'open the chat', async (given) => {
      if (!library.loaded) await library.load()
      const agent = await chooseAgent(given, library)
      if (agent) chats.open(agent.id, agent.name)
    }),
    command('loci.startServer', 'start the server', () => startServer(server)),
    command('loci.refresh', 'refresh', () => library.reload()),
    commands.registerCommand('loci.showLogs', () => log.show()),
  )
  return {
    serverUrl: () => (server.state.kind === 'connected' ? server.state.url : null),
    serverPid: () => server.pid,
    entries: (view) => roots[view](),
  }
}

/** VS Code waits for this a few seconds: the server we started ends with the window. */
export async function deactivate(): Promise<void> {
  await connection?.stop()
}

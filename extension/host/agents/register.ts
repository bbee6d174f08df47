import { commands, env, Uri, window } from 'vscode'
import { newAgent } from '../commands/new-agent.ts'
import { told } from '../failures.ts'
import type { AgentInfo, Library } from '../library.ts'
import { mayMakeAgent } from '../server/passing-home.ts'
import type { Services } from '../services.ts'
import { readSettings } from '../settings.ts'
import { byLabel, type Entry } from '../views/entry.ts'
import { exportAgentFile, importAgentFile } from './agent-files.ts'
import { attachPicked, attachToPicked, detach } from './attach.ts'
import { newBlock } from './new-block.ts'
import { exportAgent, importAgent, remove, warningFor, type Removal, type Restored } from './remove.ts'
import { rename } from './rename.ts'
import { t } from '../l10n.ts'

/** The commands about agents, their blocks and tools, but for their chat. `selection` has the rows that keys act on. */
export function registerAgents(
  { context, server, library, command }: Services,
  selection: () => readonly Entry[],
): void {
  /** The client, once the library knows what there is. */
  const ready = async () => {
    const client = await server.client()
    if (!library.loaded) await library.load()
    return client
  }
  const onRow = (name: string, doing: string, work: (row: Entry, rows: Entry[]) => Promise<unknown>) =>
    command(name, doing, async (given, selected) => {
      // A key comes without a row: it means what is selected.
      const row = given ?? selection()[0]
      if (isEntry(row)) await work(row, rowsOf(row, given === undefined ? selection() : selected))
    })
  const offerUndo = (removals: readonly Removal[]) => {
    const text = t('Deleted {0}.', removals.map(({ what }) => what).join(', '))
    const undos = removals.flatMap((removal) => removal.undo ?? [])
    const undo = async () => {
      const restored: (Restored | void)[] = []
      await library.during(async () => {
        for (const each of undos) restored.push(await each())
      })
      for (const each of restored) if (each) await commands.executeCommand('loci.followRestored', each)
    }
    const buttons = undos.length > 0 ? [t('Undo')] : []
    void window.showInformationMessage(text, ...buttons).then((choice) => {
      if (choice === t('Undo')) return told(t('undo that'), server, undo)
      return undefined
    })
  }

  context.subscriptions.push(
    command('loci.newAgent', t('create the agent'), async () => {
      const client = await ready()
      if (library.agents.size === 0 && !(await mayMakeAgent(readSettings()))) return
      const created = await newAgent(client, namesOf(library))
      if (created) await commands.executeCommand('loci.openChat', created.id)
    }),
    command('loci.newBlock', t('create the block'), async () => {
      await newBlock(await ready(), library)
    }),
    command('loci.importAgent', t('import that file'), async (given) => {
      const client = await ready()
      if (library.agents.size === 0 && !(await mayMakeAgent(readSettings()))) return
      const id = await importAgentFile(client, given instanceof Uri ? given : undefined)
      if (id !== null) await commands.executeCommand('loci.openChat', id)
    }),
    command('loci.exportAgent', t('export the agent'), async (given) => {
      const client = await ready()
      const agent = await agentOf(given, library, t('Export Agent'))
      if (agent) await exportAgentFile(client, agent)
    }),
    onRow('loci.rename', t('rename it'), async (row) => rename(await ready(), library, row)),
    onRow('loci.duplicateAgent', t('duplicate the agent'), async (row) => {
      const { letta } = await ready()
      const text = await exportAgent(letta, row.object_id ?? '')
      const name = freeCopy(row.label, namesOf(library))
      await library.during(() => importAgent(letta, text, { name }))
    }),
    onRow('loci.attachTo', t('attach it'), async (row) => attachToPicked(await ready(), library, row)),
    onRow('loci.attachBlock', t('attach the blocks'), async (row) =>
      attachPicked(await ready(), library, row, 'block'),
    ),
    onRow('loci.attachTool', t('attach the tools'), async (row) =>
      attachPicked(await ready(), library, row, 'tool'),
    ),
    onRow('loci.detach', t('detach it'), async (row) => {
      const undo = await detach(await ready(), library, row)
      const agent = library.agents.get(row.agent_id ?? '')?.name ?? t('the agent')
      void window
        .showInformationMessage(t('Detached {0} from {1}.', row.label, agent), t('Undo'))
        .then((choice) => {
          if (choice === t('Undo')) return told(t('undo that'), server, undo)
          return undefined
        })
    }),
    onRow('loci.delete', t('delete it'), async (row, rows) => {
      const client = await ready()
      const warning = warningFor(rows, library)
      if (warning) {
        const { message, detail } = warning
        if ((await window.showWarningMessage(message, { modal: true, detail }, t('Delete'))) !== t('Delete'))
          return
      }
      const removals: Removal[] = []
      try {
        for (const each of rows) removals.push(await remove(client, library, each))
      } finally {
        if (removals.length > 0) offerUndo(removals)
      }
    }),
    onRow('loci.refreshMcpServer', t('reach the MCP server'), async (row) => {
      const { letta } = await ready()
      try {
        await letta.mcpServers.refresh(row.object_id ?? '')
      } finally {
        await library.reload()
      }
    }),
    onRow('loci.copyId', t('copy its id'), async (row) => {
      await env.clipboard.writeText(row.object_id ?? '')
    }),
  )
}

function isEntry(value: unknown): value is Entry {
  const row = value as Partial<Entry> | null | undefined
  return typeof row?.kind === 'string' && typeof row.object_id === 'string'
}

/** All that are selected, when the command came from one of them; of one kind, as the menu was for. */
function rowsOf(row: Entry, selected: unknown): Entry[] {
  const rows = Array.isArray(selected) ? selected.filter(isEntry) : []
  return rows.includes(row) ? rows.filter((each) => each.kind === row.kind) : [row]
}

function namesOf(library: Library): string[] {
  return [...library.agents.values()].map((agent) => agent.name)
}

/** `Scout copy`, then `Scout copy 2` and so on. */
export function freeCopy(name: string, taken: readonly string[]): string {
  for (let n = 1; ; n++) {
    const copy = n === 1 ? t('{0} copy', name) : t('{0} copy {1}', name, n)
    if (!taken.includes(copy)) return copy
  }
}

async function agentOf(given: unknown, library: Library, title: string): Promise<AgentInfo | null> {
  const id = typeof given === 'string' ? given : (given as Partial<Entry> | undefined)?.object_id
  const known = id === undefined ? undefined : library.agents.get(id)
  if (known) return known
  const items = [...library.agents.values()]
    .map((agent) => ({ label: agent.name, description: agent.model ?? '', agent }))
    .sort(byLabel)
  const picked = await window.showQuickPick(items, { title, placeHolder: t('Which agent?') })
  return picked?.agent ?? null
}

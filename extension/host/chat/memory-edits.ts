import { applyPatch, structuredPatch } from 'diff'
import type { LociClient } from '../../../shared/client/http.ts'
import type { BlockVersion } from '../../../shared/schema/block.ts'
import type { MemoryEdit } from '../../protocol.ts'
import { smallDiff } from './small-diff.ts'
import { statusOf } from './turn-end.ts'
import { t } from '../l10n.ts'

type Letta = LociClient['letta']

/** Versions read at a time, and how many times at most for each block. */
const PAGE = 50
const PAGES = 10

interface BlockNow {
  id: string
  label: string
  value: string
  version: number
}

/** What the runs of an agent made of its memory, read from the histories of its blocks. */
export interface MemoryEdits {
  /** By run, oldest first; a run that changed nothing has none. Rejects with what the client throws. */
  ofRuns(letta: Letta, runs: readonly string[]): Promise<Record<string, MemoryEdit[]>>
  /** Takes one version back; what came after it stays. Throws a sentence when both changed the same place. */
  undo(letta: Letta, block_id: string, version: number): Promise<void>
  /** Blocks have changed. */
  forget: () => void
}

interface History {
  versions: BlockVersion[]
  complete: boolean
}

/** For the blocks of one agent; histories are kept until `forget`. */
export function createMemoryEdits(agent_id: string): MemoryEdits {
  let blocks: Promise<BlockNow[]> | null = null
  const histories = new Map<string, History>()
  /** Runs that were read of; any other may be newer than what is kept. */
  const known = new Set<string>()

  const readBlocks = async (letta: Letta) => {
    const page = await letta.agents.blocks.list(agent_id, { limit: 200 })
    return page.getPaginatedItems() as unknown as BlockNow[]
  }
  /** Reads on in the history of a block until the runs are in it; the newest versions first. */
  const reach = async (letta: Letta, block: BlockNow, runs: ReadonlySet<string>): Promise<BlockVersion[]> => {
    const history = histories.get(block.id) ?? { versions: [], complete: false }
    histories.set(block.id, history)
    const missing = () => {
      const found = new Set(history.versions.map((one) => one.run_id))
      return [...runs].some((run) => !found.has(run))
    }
    for (let page = 0; page < PAGES && !history.complete && missing(); page++) {
      const after = history.versions.at(-1)?.version
      const query = { limit: PAGE, order: 'desc', ...(after === undefined ? {} : { after }) }
      const more = (await letta.get(`/v1/blocks/${block.id}/history`, { query })) as BlockVersion[]
      history.versions.push(...more)
      history.complete = more.length < PAGE
    }
    return history.versions
  }

  const forget = () => {
    blocks = null
    histories.clear()
    known.clear()
  }

  return {
    async ofRuns(letta, runs) {
      if (runs.some((run) => !known.has(run))) forget()
      for (const run of runs) known.add(run)
      blocks ??= readBlocks(letta)
      blocks.catch(() => {
        blocks = null
      })
      const wanted = new Set(runs)
      const edits: Record<string, MemoryEdit[]> = Object.fromEntries(runs.map((run) => [run, []]))
      for (const block of await blocks) {
        const versions = await reach(letta, block, wanted)
        for (const one of versions.toReversed()) {
          if (one.run_id === null || !wanted.has(one.run_id) || one.before === one.after) continue
          edits[one.run_id]?.push(editOf(block, one))
        }
      }
      return edits
    },
    async undo(letta, block_id, version) {
      const block = (await letta.blocks.retrieve(block_id)) as unknown as BlockNow
      const query = { limit: 1, order: 'asc', after: version - 1 }
      const path = `/v1/blocks/${block_id}/history`
      const [edit] = version < 2 ? [] : ((await letta.get(path, { query })) as BlockVersion[])
      if (edit?.version !== version || edit.before === null) {
        throw new Error(t("There is no earlier value of the block '{0}' to go back to.", block.label))
      }
      const value = block.value === edit.after ? edit.before : takenBack(block, edit.before, edit.after)
      const headers = { 'if-match': `"${block.version}"` }
      forget()
      try {
        await letta.patch(`/v1/blocks/${block_id}`, { body: { value }, headers })
      } catch (error) {
        if (statusOf(error) !== 409 && statusOf(error) !== 412) throw error
        throw new Error(t("The block '{0}' was changed at this moment. Try again.", block.label), {
          cause: error,
        })
      }
    },
    forget,
  }
}

function editOf(block: BlockNow, { version, before, after }: BlockVersion): MemoryEdit {
  const { lines, added, removed } = smallDiff(before ?? '', after)
  const state = block.value === before ? 'undone' : 'kept'
  return { block_id: block.id, label: block.label, version, lines, added, removed, state }
}

/** The block without the change from `before` to `after`, and with all that was changed since. */
function takenBack(block: BlockNow, before: string, after: string): string {
  // With a line around each change where it is still there, else by the lines that the change wrote alone.
  for (const context of [1, 0]) {
    const back = structuredPatch(block.label, block.label, after, before, '', '', { context })
    const certain = context > 0 || back.hunks.every((hunk) => isOnce(block.value, hunk.lines))
    const value = certain && applyPatch(block.value, back, { fuzzFactor: 0 })
    if (value !== false) return value
  }
  throw new Error(
    t(
      "The block '{0}' has changed in the same place since. Open it and change it as you want it.",
      block.label,
    ),
  )
}

/** Whether the lines that are to go stand in the block, once. */
function isOnce(value: string, lines: readonly string[]): boolean {
  const written = lines.filter((line) => line.startsWith('-')).map((line) => line.slice(1))
  if (written.length === 0) return false
  return `\n${value}\n`.split(`\n${written.join('\n')}\n`).length === 2
}

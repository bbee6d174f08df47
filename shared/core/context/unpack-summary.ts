import { type CompactionStats, compactionStats } from '../../schema/compaction.ts'
import type { StoredMessage } from '../../schema/message.ts'
import { textOf } from '../messages.ts'

/** The text and the numbers of a stored summary; a summary that came from elsewhere may have none. */
export function unpackSummary(message: StoredMessage): { summary: string; stats: CompactionStats | null } {
  const text = textOf(message.content)
  try {
    const packed = JSON.parse(text) as { message?: unknown; compaction_stats?: unknown }
    const stats = compactionStats.safeParse(packed.compaction_stats)
    return {
      summary: typeof packed.message === 'string' ? packed.message : text,
      stats: stats.success ? stats.data : null,
    }
  } catch {
    return { summary: text, stats: null }
  }
}

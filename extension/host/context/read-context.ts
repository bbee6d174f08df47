import type { LociClient } from '../../../shared/client/http.ts'
import type { Compaction, ContextWindowOverview } from '../../../shared/schema/compaction.ts'
import type { ContextRun, ContextSnapshot, ContextTarget } from '../../context-protocol.ts'
import { t } from '../l10n.ts'
import { firstWords } from '../views/entry.ts'
import { partsOf, withoutTexts, type ReadPart } from './parts.ts'
import { runOf } from './read-runs.ts'

type Letta = LociClient['letta']

/** What the server says of a context, at one moment. */
export interface ReadContext {
  snapshot: Omit<ContextSnapshot, 'compacting'>
  parts: ReadPart[]
  /** Ids whose changes change the context: of the blocks and tools of the agent. */
  made_of: ReadonlySet<string>
}

/** Runs and compactions read at a time. */
export const PAGE = 30
const CONVERSATIONS = 100

/** Reads all that the panel shows; `agent` is null when it, or this conversation of it, is not there. Throws what the client throws. */
export async function readContext(letta: Letta, target: ContextTarget): Promise<ReadContext> {
  const { agentId, conversationId } = target
  const query = conversationId === null ? {} : { conversation_id: conversationId }
  const name = conversationId ?? 'default'
  try {
    const [agent, overview, compactions, runs, conversations] = await Promise.all([
      letta.agents.retrieve(agentId, {
        include: ['agent.blocks', 'agent.tools'],
      }),
      letta.get<ContextWindowOverview>(`/v1/agents/${agentId}/context`, { query }),
      letta.get<Compaction[]>(`/v1/conversations/${name}/compactions`, {
        query: { agent_id: agentId, limit: PAGE },
      }),
      readRuns(letta, target),
      letta.conversations.list({
        agent_id: agentId,
        limit: CONVERSATIONS,
        order: 'desc',
        order_by: 'last_message_at',
      }),
    ])
    const conversation = conversations.find(({ id }) => id === conversationId)
    const model = conversation?.model ?? agent.model ?? null
    const parts = partsOf(
      overview,
      agent.blocks.map((block) => ({
        label: block.label ?? 'block',
        // As the model is told: characters, not halves of them.
        chars: Array.from(block.value).length,
        limit: block.limit ?? 0,
      })),
    )
    const asked = askedBy(overview)
    return {
      parts,
      made_of: new Set([...agent.blocks, ...agent.tools].flatMap(({ id }) => id ?? [])),
      snapshot: {
        conversationId,
        agent: { name: agent.name, model, mode: agent.compaction_settings?.mode ?? 'sliding_window' },
        conversations: [
          { id: null, title: t('Main conversation') },
          ...conversations.map(({ id, summary, created_at }) => ({
            id,
            title: summary ?? t('Conversation of {0}', created_at?.slice(0, 10) ?? id),
          })),
        ],
        window: {
          used: overview.context_window_size_current,
          limit: overview.context_window_size_max,
          model: null,
        },
        // The system message and the summary are parts of their own.
        messages: parts.find(({ kind }) => kind === 'messages')?.items.length ?? 0,
        parts: parts.map(withoutTexts),
        compactions,
        runs: runs.map((run) => ({ ...run, about: asked.get(run.id) ?? null })),
      },
    }
  } catch (error) {
    if ((error as { status?: unknown }).status !== 404) throw error
    return { parts: [], made_of: new Set(), snapshot: gone(conversationId) }
  }
}

/** Runs of this conversation, newest first; those before `before` where it is given. */
export async function readRuns(
  letta: Letta,
  { agentId, conversationId }: ContextTarget,
  before?: string,
): Promise<ContextRun[]> {
  const page = await letta.runs.list({
    agent_id: agentId,
    conversation_id: conversationId ?? 'default',
    limit: PAGE,
    order: 'desc',
    // After in this order: what is older.
    ...(before === undefined ? {} : { after: before }),
  })
  return page.getPaginatedItems().map(runOf)
}

/** How much the model of this handle can read at most, in tokens; null where that is not known. */
export async function readModelWindow(letta: Letta, handle: string): Promise<number | null> {
  const models = await letta.models.list()
  const found = models.find((model) => model.handle === handle)
  return found?.max_context_window ?? found?.context_window ?? null
}

/** What each run in context answers, in its first words. */
function askedBy(overview: ContextWindowOverview): Map<string, string> {
  const asked = new Map<string, string>()
  for (const { role, run_id, content } of overview.messages) {
    if (role !== 'user' || typeof run_id !== 'string' || asked.has(run_id)) continue
    const parts = Array.isArray(content) ? (content as { text?: string }[]) : []
    const text = parts.map((part) => part.text ?? '').join(' ')
    if (text.trim() !== '') asked.set(run_id, firstWords(text, 140))
  }
  return asked
}

function gone(conversationId: string | null): ReadContext['snapshot'] {
  return {
    conversationId,
    agent: null,
    conversations: [],
    window: { used: 0, limit: 0, model: null },
    messages: 0,
    parts: [],
    compactions: [],
    runs: [],
  }
}

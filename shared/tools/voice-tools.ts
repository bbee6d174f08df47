import type { ToolCallInput } from '../core/ports/tools.ts'
import { wordsOf } from '../schema/message-text.ts'
import {
  builtin,
  type Builtin,
  integerArgument,
  stringArgument,
  stringsArgument,
  success,
  valueError,
} from './builtin.ts'

/** Results for each keyword. */
const LIMIT = 5

/** The block in which a voice agent keeps what it knows of its user. */
const USER_BLOCK = 'human'

/** Tools of V1's voice agents (reference 4.5): a quick search while they talk, and what their companion does after. */
export const voiceTools: Builtin[] = [
  builtin({
    name: 'search_memory',
    type: 'letta_voice_sleeptime_core',
    parallel: true,
    description: 'Search what was said before, for each of some keywords, in a span of time if one is given.',
    properties: {
      convo_keyword_queries: {
        type: 'array',
        items: { type: 'string' },
        description: 'Words to look for, each in a search of its own.',
      },
      start_minutes_ago: { type: 'integer', description: 'Only what was said since so many minutes ago.' },
      end_minutes_ago: { type: 'integer', description: 'Only what was said until so many minutes ago.' },
    },
    required: ['convo_keyword_queries'],
    async run(call) {
      const queries = stringsArgument(call, 'convo_keyword_queries').filter((query) => query.trim() !== '')
      if (queries.length === 0) throw valueError('convo_keyword_queries is empty; give a word to look for')
      const start_date = minutesAgo(call, 'start_minutes_ago')
      const end_date = minutesAgo(call, 'end_minutes_ago')
      const found: Record<string, { timestamp: string; role: string; content: string }[]> = {}
      for (const query of queries.slice(0, 10)) {
        const messages = await call.searchMessages({
          query,
          agent_id: call.agent.id,
          roles: ['user', 'assistant'],
          limit: LIMIT + 1,
          start_date,
          end_date,
        })
        found[query] = messages
          .filter((message) => call.run_id === null || message.run_id !== call.run_id)
          .slice(0, LIMIT)
          .map((message) => ({
            timestamp: message.created_at,
            role: message.role,
            content: wordsOf(message),
          }))
      }
      return success({ convo_keyword_search_results: found })
    },
  }),
  builtin({
    name: 'store_memories',
    type: 'letta_voice_sleeptime_core',
    description:
      'Store pieces of the conversation in archival memory, each with what makes it worth keeping.',
    properties: {
      chunks: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            context: { type: 'string', description: 'What was said and what it means, complete in itself.' },
          },
          required: ['context'],
        },
        description: 'The pieces, each stored as a memory of its own.',
      },
    },
    required: ['chunks'],
    run(call) {
      const chunks = call.arguments['chunks']
      if (!Array.isArray(chunks) || chunks.length === 0)
        throw new TypeError("argument 'chunks' must be a list")
      const texts = chunks.map((chunk: unknown) => {
        const context = (chunk as { context?: unknown } | null)?.context
        if (typeof context !== 'string' || context.trim() === '')
          throw valueError('each of the chunks needs a context, which is the text to store')
        return context
      })
      for (const text of texts) call.insertPassage({ text, tags: [] })
      return success(`Stored ${texts.length} ${texts.length === 1 ? 'memory' : 'memories'}.`)
    },
  }),
  builtin({
    name: 'rethink_user_memory',
    type: 'letta_voice_sleeptime_core',
    description: `Write the memory block '${USER_BLOCK}' anew: all that is known of the user, old and new.`,
    properties: { new_memory: { type: 'string', description: 'The whole new text of the block.' } },
    required: ['new_memory'],
    run(call) {
      const value = stringArgument(call, 'new_memory')
      if (call.memory.blocks.some((block) => block.label === USER_BLOCK)) call.memory.set(USER_BLOCK, value)
      else call.memory.create({ label: USER_BLOCK, value, description: null })
      return success(value)
    },
  }),
  builtin({
    name: 'finish_rethinking_memory',
    type: 'letta_voice_sleeptime_core',
    description: 'Call this when memory needs no more work: it ends your turn.',
    properties: {},
    required: [],
    run: () => success(null),
  }),
]

function minutesAgo(call: ToolCallInput, name: string): string | undefined {
  const minutes = integerArgument(call, name, -1)
  return minutes < 0 ? undefined : new Date(call.now.getTime() - minutes * 60_000).toISOString()
}

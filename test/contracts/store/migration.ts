import assert from 'node:assert/strict'
import type {
  Brought,
  BroughtAgent,
  BroughtConversation,
} from '../../../shared/core/ports/migration-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { StoredMessage } from '../../../shared/schema/message.ts'
import type { Subject } from '../store.contract.ts'
import { aFolder } from './files.ts'
import { aBlock, ADA, aMessage, anAgent, aRun, at, EVE, text } from './samples.ts'

const page = { limit: 1000, order: 'asc' } as const
const times = { created_at: at(1), updated_at: at(2) }

export function describeMigration(subject: Subject): void {
  describe('things of another server', () => {
    it('keeps a journal of them, each organisation its own', async () => {
      const { migration } = subject.store
      const entry: Brought = {
        kind: 'block',
        id: 'b-1',
        here: 'block-1',
        said: 's',
        stored: 't',
        linked: ['x'],
      }
      await migration.note(ADA, [entry, { ...entry, id: 'b-2' }])
      await migration.note(ADA, [{ ...entry, said: 'new', linked: [] }])
      assert.deepEqual(await migration.brought(ADA, 'block', ['b-1', 'b-9']), [
        { ...entry, said: 'new', linked: [] },
      ])
      assert.deepEqual(await migration.brought(ADA, 'tool', ['b-1']), [])
      assert.deepEqual(await migration.brought(EVE, 'block', ['b-1', 'b-2']), [])
    })

    it('stores blocks, identities and passages under the ids they had, and takes no id twice', async () => {
      const { migration, blocks, identities, archives, passages } = subject.store
      const block = { id: newId('block'), ...aBlock('human', 'Ada', { tags: ['t'] }) }
      await migration.addBlock(ADA, block, times)
      assert.equal((await blocks.get(ADA, block.id))?.value, 'Ada')
      await assert.rejects(migration.addBlock(EVE, block, times), { code: 'conflict' })
      const identity = {
        id: newId('identity'),
        identifier_key: 'k',
        name: 'Ada',
        identity_type: 'user' as const,
        project_id: null,
        agent_ids: [],
        block_ids: [],
        properties: [],
      }
      await migration.addIdentity(ADA, identity, times)
      assert.deepEqual(await identities.get(ADA, identity.id), identity)
      await assert.rejects(migration.addIdentity(ADA, { ...identity, id: newId('identity') }, times), {
        code: 'conflict',
      })
      const archive = { id: newId('archive'), name: 'a', description: null, metadata: null, embedding: null }
      await archives.create(ADA, { ...archive, created_at: at(0) })
      const passage = { id: newId('passage'), text: 'A bird', tags: [], metadata: {}, created_at: at(1) }
      await passages.createIn(ADA, archive.id, [passage])
      assert.deepEqual(
        (await migration.passages(ADA, [passage.id, 'other'])).map(({ text }) => text),
        ['A bird'],
      )
      assert.deepEqual(await migration.passages(EVE, [passage.id]), [])
    })

    it('lists a file when it is whole, also after one that was given up in the middle', async () => {
      const { migration, folders, files } = subject.store
      const folder = aFolder()
      await folders.create(ADA, folder)
      const file = {
        id: newId('file'),
        folder_id: folder.id,
        name: 'notes.txt',
        type: 'text/plain',
        size: 7,
        status: 'completed' as const,
        error_message: null,
      }
      const piece = (first_line: number, text: string) => ({
        pieces: [{ first_line, text }],
        chunks: [{ text, first_line, last_line: first_line }],
      })
      const breaking = function* () {
        yield piece(0, 'half')
        throw new Error('the process died')
      }
      await assert.rejects(migration.addFile(ADA, file, times, breaking()), /died/)
      assert.deepEqual(await files.list(ADA, folder.id, page), [])
      await files.sweep()
      await migration.addFile(ADA, file, times, [piece(0, 'one'), piece(1, 'two')])
      const [listed] = await files.list(ADA, folder.id, page)
      assert.deepEqual(
        [listed?.id, listed?.processing_status, listed?.created_at],
        [file.id, 'completed', at(1)],
      )
      const read = await files.read(ADA, file.id, { start_line: 0, end_line: null, max_chars: 1000 })
      assert.equal(read?.text, 'one\ntwo')
      assert.equal((await files.passages(ADA, folder.id, page)).length, 2)
      await assert.rejects(migration.addFile(ADA, file, times, []), { code: 'conflict' })
    })

    it('shows nothing of an agent before it is complete, and keeps what came of it', async () => {
      const { store } = subject
      const { agent, messages, made, entry } = anOldAgent()
      const { migration } = store
      assert.deepEqual(await migration.progress(ADA, agent.id), { state: 'new', conversations: [] })
      const first = await migration.addMessages(ADA, agent.id, messages.slice(0, 40))
      assert.deepEqual(first, { added: 40, known: 0, taken: [] })
      // Whoever cleans up after the dead leaves it for the next one.
      await store.turns.recover()
      const second = await migration.addMessages(ADA, agent.id, messages.slice(20))
      assert.deepEqual(second, { added: 20, known: 20, taken: [] })
      await migration.putConversation(ADA, agent.id, aConversation(agent.id, messages, [0, 50, 7]))
      assert.deepEqual(await store.agents.list(ADA, {}, page, []), [])
      assert.deepEqual(await store.messages.list(ADA, {}, page), [])
      assert.deepEqual(await store.conversations.list(ADA, {}, page), [])
      const progress = await migration.progress(ADA, agent.id)
      assert.deepEqual(progress, {
        state: 'started',
        conversations: [{ id: null, last_message_id: messages[59]?.id, messages: 60, went_on: false }],
      })
      assert.equal((await migration.progress(EVE, agent.id)).state, 'taken')
      await assert.rejects(migration.addMessages(EVE, agent.id, []), { code: 'conflict' })
      await migration.complete(ADA, made, entry)
      const found = await store.agents.get(ADA, agent.id, ['agent.tags', 'agent.secrets'])
      assert.deepEqual(found?.message_ids, [messages[0]?.id, messages[50]?.id, messages[7]?.id])
      assert.deepEqual([found?.tags, found?.secrets?.map(({ value }) => value)], [['t'], ['v']])
      assert.deepEqual(await store.messages.list(ADA, { agent_id: agent.id }, page), messages)
      assert.deepEqual(await migration.brought(ADA, 'agent', [agent.id]), [entry])
      assert.equal((await migration.progress(ADA, agent.id)).state, 'complete')
      await store.agents.delete(ADA, agent.id)
      assert.equal((await migration.progress(ADA, agent.id)).state, 'deleted')
    })

    it('goes on with a conversation, unless somebody went on with it here', async () => {
      const { migration, agents, messages: reads } = subject.store
      const { agent, messages, made, entry } = anOldAgent()
      await migration.addMessages(ADA, agent.id, messages.slice(0, 10))
      await migration.putConversation(ADA, agent.id, aConversation(agent.id, messages, [0, 9]))
      await migration.complete(ADA, made, entry)
      await migration.addMessages(ADA, agent.id, messages.slice(10, 20))
      const longer = aConversation(agent.id, messages, [0, 18, 19])
      assert.equal(await migration.putConversation(ADA, agent.id, longer), true)
      const ids = async () => (await agents.get(ADA, agent.id, []))?.message_ids
      assert.deepEqual(await ids(), longer.message_ids)
      // As a turn would.
      const opened = await subject.store.turns.open(ADA, {
        run: aRun(agent.id),
        conversation_id: agent.id,
        messages: [aMessage(agent.id, 'user', 'here')],
      })
      assert.ok(opened)
      const before = await ids()
      const more = aConversation(agent.id, messages, [0, 1])
      assert.equal(await migration.putConversation(ADA, agent.id, more), false)
      assert.deepEqual(await ids(), before)
      assert.equal((await reads.list(ADA, { agent_id: agent.id }, page)).length, 21)
    })

    it('begins a context with a system message of its own where there is none, once', async () => {
      const { migration, agents, messages: reads } = subject.store
      const { agent, messages, made, entry } = anOldAgent()
      await migration.addMessages(ADA, agent.id, messages.slice(1, 3))
      const conversation = aConversation(agent.id, messages, [1, 2, 30])
      await migration.putConversation(ADA, agent.id, conversation)
      await migration.putConversation(ADA, agent.id, conversation)
      const [history] = (await migration.progress(ADA, agent.id)).conversations
      assert.equal(history?.went_on, false)
      await migration.complete(ADA, made, entry)
      const all = await reads.list(ADA, { agent_id: agent.id }, page)
      assert.deepEqual(all.map(text), ['word1', 'word2', 'You are.'])
      const found = await agents.get(ADA, agent.id, [])
      assert.deepEqual(found?.message_ids, [conversation.system_message.id, messages[1]?.id, messages[2]?.id])
    })

    it('takes no message that is one of another agent', async () => {
      const { migration } = subject.store
      const { agent, messages } = anOldAgent()
      await migration.addMessages(ADA, agent.id, messages)
      const other = newId('agent')
      const stolen = messages
        .slice(0, 2)
        .map((message) => ({ ...message, agent_id: other, conversation_id: other }))
      const { taken, added } = await migration.addMessages(EVE, other, stolen)
      assert.deepEqual([taken, added], [stolen.map(({ id }) => id), 0])
    })

    it('stores runs and steps once', async () => {
      const { migration, turns } = subject.store
      const { agent } = anOldAgent()
      const run = { ...aRun(agent.id), status: 'completed' as const, completed_at: at(4), metadata: { a: 1 } }
      assert.deepEqual(await migration.addRuns(ADA, [run]), [run.id])
      assert.deepEqual(await migration.addRuns(ADA, [run]), [])
      assert.deepEqual(await turns.getRun(ADA, run.id), run)
      const step = {
        id: newId('step'),
        run_id: run.id,
        agent_id: agent.id,
        status: 'success' as const,
        stop_reason: null,
        provider_name: null,
        model: 'm',
        model_handle: null,
        model_endpoint: null,
        context_window_limit: null,
        completion_tokens: 1,
        prompt_tokens: 2,
        total_tokens: 3,
        cached_input_tokens: null,
        cache_write_tokens: null,
        reasoning_tokens: null,
        error_type: null,
        error_data: null,
      }
      assert.deepEqual(await migration.addSteps(ADA, [step]), [step.id])
      assert.deepEqual(await migration.addSteps(ADA, [step]), [])
      assert.deepEqual(await turns.listSteps(ADA, { run_id: run.id }, page), [
        { ...step, created_at: run.created_at },
      ])
    })
  })
}

function anOldAgent(): {
  agent: BroughtAgent['agent']
  messages: StoredMessage[]
  made: BroughtAgent
  entry: Brought
} {
  const { agent } = anAgent('brought')
  const messages = Array.from({ length: 60 }, (_, i) =>
    aMessage(agent.id, i === 0 ? 'system' : 'user', `word${i}`, { created_at: at(i) }),
  )
  const made: BroughtAgent = {
    agent,
    tags: ['t'],
    block_ids: [],
    tool_ids: [],
    secrets: { KEY: 'v' },
    folder_ids: [],
    links: [],
    archive_ids: [],
    identity_ids: [],
  }
  const entry = { kind: 'agent', id: agent.id, here: agent.id, said: 's', stored: 's', linked: [] }
  return { agent, messages, made, entry }
}

function aConversation(
  agent_id: string,
  messages: readonly StoredMessage[],
  context: readonly number[],
): BroughtConversation {
  return {
    id: agent_id,
    summary: null,
    model: null,
    model_settings: null,
    last_message_at: null,
    ...times,
    message_ids: context.flatMap((i) => messages[i]?.id ?? []),
    system_message: aMessage(agent_id, 'system', 'You are.'),
    isolated_block_ids: [],
  }
}

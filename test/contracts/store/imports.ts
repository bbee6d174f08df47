import assert from 'node:assert/strict'
import type {
  ImportedAgent,
  NewImport,
  StagedFile,
  StagedMessage,
} from '../../../shared/core/ports/import-store.ts'
import type { Store } from '../../../shared/core/ports/store.ts'
import type { Folder } from '../../../shared/schema/folder.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Tool } from '../../../shared/schema/tool.ts'
import type { Subject } from '../store.contract.ts'
import { aFolder, textOf } from './files.ts'
import { aBlock, aBuiltin, ADA, aMessage, anAgent, EVE, text } from './samples.ts'

const page = { limit: 1000, order: 'asc' } as const

export function describeImports(subject: Subject): void {
  describe('imports', () => {
    it('stores an agent with its history, its context in its own order, and what is kept with it', async () => {
      const { store } = subject
      const made = anImport({ messages: 300, context: [0, 250, 7] })
      await store.imports.begin(ADA, [made.id])
      await store.imports.addMessages(ADA, made.staged)
      await store.imports.complete(ADA, made.whole)
      const agent = await store.agents.get(ADA, made.id, ['agent.blocks', 'agent.tools', 'agent.tags'])
      assert.deepEqual(
        [agent?.blocks.map((b) => b.label), agent?.tools.map((t) => t.source_code), agent?.tags],
        [['human'], ['code'], ['t']],
      )
      const ids = made.staged.map(({ message }) => message.id)
      assert.deepEqual(agent?.message_ids, [ids[0], ids[250], ids[7]])
      const messages = await store.messages.list(ADA, { agent_id: made.id }, page)
      assert.deepEqual(
        messages,
        made.staged.map(({ message }) => message),
      )
      assert.deepEqual(await store.imports.kept(ADA, made.id), { note: 'kept' })
      const found = await store.messages.search(ADA, {
        agent_id: made.id,
        query: 'word77',
        roles: ['user'],
        limit: 5,
      })
      assert.deepEqual(found.map(text), ['word77'])
    })

    it('shows nothing of it before it is complete, and leaves nothing when it is given up', async () => {
      const { store } = subject
      const made = anImport({ messages: 120, context: [0, 1] })
      const [first] = made.staged
      const nothing = async (when: string) => {
        assert.equal(await store.agents.get(ADA, made.id, []), null, when)
        assert.deepEqual(await store.agents.list(ADA, {}, page, []), [], when)
        assert.deepEqual(await store.messages.list(ADA, {}, page), [], when)
        assert.deepEqual(await store.messages.list(ADA, { ids: [first!.message.id] }, page), [], when)
        const everywhere = { query: 'word77', roles: ['user' as const], limit: 5 }
        assert.deepEqual(await store.messages.search(ADA, everywhere), [], when)
        assert.deepEqual(await store.conversations.list(ADA, {}, page), [], when)
        assert.deepEqual(await store.blocks.list(ADA, {}, page), [], when)
        assert.deepEqual(await store.tools.list(ADA, {}, page), [], when)
      }
      await store.imports.begin(ADA, [made.id])
      await store.imports.addMessages(ADA, made.staged)
      await store.turns.recover()
      await nothing('an import under way is not taken for one that died')
      const twoOfOneLabel = {
        ...made.whole,
        blocks: [...made.whole.blocks, { id: newId('block'), block: aBlock('human', ''), agent_id: made.id }],
      }
      twoOfOneLabel.agents = made.whole.agents.map((agent) => ({
        ...agent,
        block_ids: twoOfOneLabel.blocks.map(({ id }) => id),
      }))
      await assert.rejects(store.imports.complete(ADA, twoOfOneLabel), { code: 'conflict' })
      await nothing('a refused import')
      await store.imports.abandon(ADA, [made.id])
      await nothing('an abandoned import')
      assert.deepEqual(await store.messages.list(ADA, { agent_id: made.id }, page), [])
      await assert.rejects(store.imports.complete(ADA, made.whole), { code: 'conflict' }, 'it is over')
      await assert.rejects(store.imports.addMessages(ADA, made.staged), { code: 'conflict' })
      await nothing('after all')
    })

    it('goes on with an import of which another process has seen nothing', async function () {
      const { store, reopen } = subject
      if (!reopen) this.skip()
      const made = anImport({ messages: 10, context: [0] })
      await store.imports.begin(ADA, [made.id])
      await store.imports.addMessages(ADA, made.staged)
      const other = await reopen()
      try {
        await other.turns.recover()
        assert.deepEqual(await other.messages.list(ADA, {}, page), [])
        await store.imports.complete(ADA, made.whole)
        assert.equal((await other.agents.get(ADA, made.id, []))?.name, 'imported')
      } finally {
        await other.close()
      }
    })

    it('is removed when its process is gone', async function () {
      const { store, reopen } = subject
      if (!reopen) this.skip()
      const made = anImport({ messages: 50, context: [0, 1, 2] })
      const other = await reopen()
      await other.imports.begin(ADA, [made.id])
      await other.imports.addMessages(ADA, made.staged)
      await other.close()
      assert.equal((await store.messages.list(ADA, { agent_id: made.id }, page)).length, 50)
      await store.turns.recover()
      assert.deepEqual(await store.messages.list(ADA, { agent_id: made.id }, page), [])
      assert.deepEqual(await store.agents.list(ADA, {}, page, []), [])
    })

    it('changes tools that are there, never those of another organisation', async () => {
      const { store } = subject
      await store.tools.seed(EVE, [aBuiltin('mine')])
      const first = anImport({ messages: 1, context: [0] })
      await store.imports.begin(ADA, [first.id])
      await store.imports.addMessages(ADA, first.staged)
      await store.imports.complete(ADA, first.whole)
      const [tool] = await store.tools.list(ADA, { name: 'mine' }, page)
      const [hers] = await store.tools.list(EVE, { name: 'mine' }, page)
      const again = anImport({ messages: 1, context: [0] })
      await store.imports.begin(ADA, [again.id])
      await store.imports.addMessages(ADA, again.staged)
      await assert.rejects(
        store.imports.complete(ADA, again.whole),
        { code: 'conflict' },
        'the name is taken',
      )
      const changed = { ...tool!, source_code: 'new code' }
      const agents = again.whole.agents.map((agent) => ({ ...agent, tool_ids: [tool!.id] }))
      await assert.rejects(store.imports.addMessages(EVE, again.staged), { code: 'conflict' })
      await assert.rejects(store.imports.complete(EVE, again.whole), { code: 'conflict' })
      await store.imports.complete(ADA, { ...again.whole, agents, new_tools: [], changed_tools: [changed] })
      assert.equal((await store.tools.get(ADA, tool!.id))?.source_code, 'new code')
      assert.deepEqual(await store.tools.get(EVE, hers!.id), hers)
      assert.equal(await store.imports.kept(EVE, again.id), null)
      assert.equal(await store.imports.kept(ADA, newId('agent')), null)
    })

    /** An import of an agent and its folder, whose file is staged. */
    const withFolder = async (store: Store, more: Partial<Folder> = {}) => {
      const made = anImport({ messages: 1, context: [0] })
      const folder = aFolder(more)
      const file = aStaged(folder.id)
      await store.imports.begin(ADA, [made.id, folder.id])
      await store.imports.addMessages(ADA, made.staged)
      await store.imports.addFile(ADA, file, [
        { pieces: [{ first_line: 0, text: 'parrots\nare' }], chunks: [] },
        {
          pieces: [{ first_line: 2, text: 'birds' }],
          chunks: [{ text: 'parrots\nare\nbirds', first_line: 0, last_line: 2 }],
        },
      ])
      const { id: file_id, folder_id } = file
      const place = { start_line: 1, end_line: 2, last_accessed_at: null }
      const links = [{ file_id, folder_id, is_open: true, ...place }]
      const agents = made.whole.agents.map((agent) => ({ ...agent, folder_ids: [folder_id], links }))
      return { id: made.id, folder, file_id, whole: { ...made.whole, agents, folders: [folder] } }
    }

    it('brings folders with their files, which agents have as the import says', async () => {
      const { store } = subject
      const { id, folder, file_id, whole } = await withFolder(store)
      await store.imports.complete(ADA, whole)
      assert.deepEqual(await store.folders.list(ADA, { agent_id: id }, page), [folder])
      const file = await store.files.get(ADA, file_id)
      assert.deepEqual(
        [file?.processing_status, await textOf(subject, file_id), file?.total_chunks],
        ['completed', 'parrots\nare\nbirds', 1],
      )
      const [link] = await store.files.ofAgent(ADA, id)
      assert.deepEqual(
        [link?.is_open, link?.start_line, link?.end_line, link?.lines, link?.characters],
        [true, 1, 2, 3, 17],
      )
      const found = await store.files.search(ADA, { agent_id: id, query: 'parrot', limit: 5 })
      assert.deepEqual(
        found.map((match) => match.file_id),
        [file_id],
      )
    })

    it('shows nothing of a folder before it is complete, and leaves nothing when it is given up', async () => {
      const { store } = subject
      const taken = await store.folders.create(ADA, aFolder())
      const { id, folder, file_id, whole } = await withFolder(store, { name: taken.name })
      const agent = await store.agents.create(ADA, anAgent('ada'))
      const nothing = async (when: string) => {
        assert.deepEqual(await store.folders.list(ADA, {}, page), [taken], when)
        assert.equal(await store.files.get(ADA, file_id), null, when)
        assert.deepEqual(await store.files.passages(ADA, folder.id, page), [], when)
        assert.deepEqual(await store.files.list(ADA, folder.id, page), [], when)
        await assert.rejects(store.folders.attach(ADA, agent.id, folder.id), { code: 'not_found' }, when)
      }
      await nothing('while it is staged')
      await assert.rejects(store.imports.complete(ADA, whole), { code: 'conflict' }, 'the name is taken')
      await nothing('a refused import')
      await store.imports.abandon(ADA, [id, folder.id])
      await nothing('an abandoned import')
      await assert.rejects(
        store.imports.addFile(ADA, aStaged(folder.id), []),
        { code: 'conflict' },
        'it is over',
      )
      // The id may be used again: what was stored under it is gone.
      await store.folders.create(ADA, { ...folder, name: 'free' })
      assert.deepEqual(await store.files.list(ADA, folder.id, page), [])
    })

    it('removes the folder of a process that is gone', async function () {
      const { store, reopen } = subject
      if (!reopen) this.skip()
      const other = await reopen()
      const { folder } = await withFolder(other)
      await other.close()
      await store.turns.recover()
      await store.folders.create(ADA, folder)
      assert.deepEqual(await store.files.list(ADA, folder.id, page), [])
      assert.deepEqual(await store.files.passages(ADA, folder.id, page), [])
    })
  })
}

function aStaged(folder_id: string): StagedFile {
  const file = { id: newId('file'), folder_id, name: 'b.txt', type: null, size: 1 }
  return { ...file, status: 'completed', error_message: null }
}

/** An agent with so many messages, of which these are its context, in this order. */
export function anImport(given: { messages: number; context: number[] }): {
  id: string
  staged: StagedMessage[]
  whole: NewImport
} {
  const { agent } = anAgent('imported')
  const staged = Array.from({ length: given.messages }, (_, i): StagedMessage => {
    const place = given.context.indexOf(i)
    const message = aMessage(agent.id, i === 0 ? 'system' : 'user', `word${i}`, {
      file_fields: { mystery: { file: i } },
    })
    return { message, position: place < 0 ? null : place }
  })
  const block = { id: newId('block'), block: aBlock('human', 'Ada'), agent_id: agent.id }
  const tool: Tool = {
    id: newId('tool'),
    tool_type: 'custom',
    name: 'mine',
    description: null,
    source_type: 'python',
    source_code: 'code',
    json_schema: { name: 'mine' },
    args_json_schema: null,
    tags: [],
    return_char_limit: 1000,
    pip_requirements: null,
    npm_requirements: null,
    default_requires_approval: null,
    enable_parallel_execution: null,
    metadata_: null,
    project_id: null,
    created_by_id: ADA.user_id,
    last_updated_by_id: ADA.user_id,
  }
  const imported: ImportedAgent = {
    agent,
    tags: ['t'],
    block_ids: [block.id],
    tool_ids: [tool.id],
    folder_ids: [],
    links: [],
    message_count: given.messages,
    context_length: given.context.length,
    kept: { note: 'kept' },
  }
  return {
    id: agent.id,
    staged,
    whole: {
      agents: [imported],
      blocks: [block],
      new_tools: [tool],
      changed_tools: [],
      groups: [],
      folders: [],
    },
  }
}

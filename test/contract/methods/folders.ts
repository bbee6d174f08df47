import assert from 'node:assert/strict'
import type { ContractTest } from '../../support/contract.ts'
import { eventually } from '../../support/loci.ts'
import type { Method } from './method.ts'
import type { PlainOperation } from './plain.ts'

const aName = () => `folder ${crypto.randomUUID()}`

/** A folder with one file that was read. */
async function aFolder(t: ContractTest, name = 'notes.md', text = '# Notes\n\nThe parrot is called Iago.') {
  const folder = await t.letta.folders.create({ name: aName() })
  const file = await t.letta.folders.files.upload(folder.id, { file: new File([text], name) })
  await eventually('the file is read', async () => {
    const now = await t.letta.folders.files.retrieve(file.id, { folder_id: folder.id })
    return now.processing_status === 'completed' ? now : null
  })
  return { folder, file }
}

async function anAgentWith(t: ContractTest, folder_id: string, more: object = {}) {
  const { id } = await t.newAgent(more)
  await t.letta.agents.folders.attach(folder_id, { agent_id: id })
  return id
}

export const folderMethods: Method[] = [
  {
    name: 'folders.create',
    shows: 'a folder, and the refusal of a second one of its name',
    async run(t) {
      const name = aName()
      const folder = await t.letta.folders.create({ name, description: 'd', metadata: { a: 1 } })
      assert.deepEqual(
        [folder.name, folder.description, folder.instructions, folder.metadata],
        [name, 'd', null, { a: 1 }],
      )
      assert.match(folder.id, /^source-/)
      await assert.rejects(t.letta.folders.create({ name }), { status: 409 })
    },
  },
  {
    name: 'folders.retrieve',
    shows: 'the folder',
    async run(t) {
      const made = await t.letta.folders.create({ name: aName() })
      assert.deepEqual(await t.letta.folders.retrieve(made.id), made)
    },
  },
  {
    name: 'folders.update',
    shows: 'new fields; null leaves one as it is',
    async run(t) {
      const { id, name } = await t.letta.folders.create({ name: aName(), description: 'before' })
      const changed = await t.letta.folders.update(id, { instructions: 'Read it first.', description: null })
      assert.deepEqual(
        [changed.name, changed.description, changed.instructions],
        [name, 'before', 'Read it first.'],
      )
    },
  },
  {
    name: 'folders.list',
    shows: 'oldest first, by name',
    async run(t) {
      const one = await t.letta.folders.create({ name: aName() })
      const two = await t.letta.folders.create({ name: aName() })
      const ids = (await t.letta.folders.list({ limit: 1000 })).items.map((f) => f.id)
      assert.ok(ids.indexOf(one.id) < ids.indexOf(two.id))
      assert.deepEqual((await t.letta.folders.list({ name: two.name })).items, [two])
    },
  },
  {
    name: 'folders.delete',
    shows: 'a folder that is gone, with its files, also from its agents',
    async run(t) {
      const { folder, file } = await aFolder(t)
      const agent_id = await anAgentWith(t, folder.id)
      await t.letta.folders.delete(folder.id)
      await assert.rejects(t.letta.folders.retrieve(folder.id), { status: 404 })
      await assert.rejects(t.letta.folders.files.retrieve(file.id, { folder_id: folder.id }), { status: 404 })
      assert.deepEqual((await t.letta.agents.files.list(agent_id)).files, [])
      const tools = (await t.letta.agents.tools.list(agent_id)).items.map((tool) => tool.name)
      assert.ok(!tools.includes('open_files'))
    },
  },
  {
    name: 'folders.agents.list',
    shows: 'the ids of the agents that have the folder',
    async run(t) {
      const { folder } = await aFolder(t)
      const one = await anAgentWith(t, folder.id)
      const two = await anAgentWith(t, folder.id)
      const items: unknown = await t.letta.folders.agents.list(folder.id)
      assert.deepEqual(items, [two, one])
    },
  },
  {
    name: 'folders.files.upload',
    shows: 'a file that waits to be read, with the path of its folder',
    async run(t) {
      const folder = await t.letta.folders.create({ name: aName() })
      const params = { file: new File(['text'], 'a.txt', { type: 'text/plain' }) }
      const file = await t.letta.folders.files.upload(folder.id, params)
      assert.deepEqual([file.file_name, file.original_file_name], [`${folder.name}/a.txt`, 'a.txt'])
      assert.deepEqual([file.source_id, file.file_size], [folder.id, 4])
    },
  },
  {
    name: 'folders.files.list',
    shows: 'newest first, with the text when it is asked for',
    async run(t) {
      const { folder, file } = await aFolder(t, 'one.txt', 'one')
      const plain = (await t.letta.folders.files.list(folder.id)).items
      assert.deepEqual(
        plain.map((f) => [f.id, f.content]),
        [[file.id, null]],
      )
      const [whole] = (await t.letta.folders.files.list(folder.id, { include_content: true })).items
      assert.equal(whole?.content, 'one')
    },
  },
  {
    name: 'folders.files.retrieve',
    shows: 'how far its reading is, and its text when it is asked for',
    async run(t) {
      const { folder, file } = await aFolder(t, 'two.txt', 'two\nlines')
      const got = await t.letta.folders.files.retrieve(file.id, {
        folder_id: folder.id,
        include_content: true,
      })
      assert.deepEqual(
        [got.processing_status, got.content, got.total_chunks, got.error_message],
        ['completed', 'two\nlines', 1, null],
      )
    },
  },
  {
    name: 'folders.files.delete',
    shows: 'a file that is gone',
    async run(t) {
      const { folder, file } = await aFolder(t)
      await t.letta.folders.files.delete(file.id, { folder_id: folder.id })
      assert.deepEqual((await t.letta.folders.files.list(folder.id)).items, [])
      await assert.rejects(t.letta.folders.files.delete(file.id, { folder_id: folder.id }), { status: 404 })
    },
  },
  {
    name: 'agents.folders.attach',
    shows: 'an agent with the folder, its files open and the tools for files',
    async run(t) {
      const { folder } = await aFolder(t)
      const { id } = await t.newAgent()
      const agent = await t.letta.agents.folders.attach(folder.id, { agent_id: id })
      const names = agent?.tools.map((tool) => tool.name) ?? []
      for (const name of ['open_files', 'grep_files', 'semantic_search_files'])
        assert.ok(names.includes(name), name)
      const { files } = await t.letta.agents.files.list(id)
      assert.deepEqual(
        files.map((f) => [f.file_name, f.is_open]),
        [[`${folder.name}/notes.md`, true]],
      )
    },
  },
  {
    name: 'agents.folders.detach',
    shows: 'an agent without the folder, its files and the tools',
    async run(t) {
      const { folder } = await aFolder(t)
      const id = await anAgentWith(t, folder.id)
      const agent = await t.letta.agents.folders.detach(folder.id, { agent_id: id })
      assert.ok(!agent?.tools.some((tool) => tool.name === 'grep_files'))
      assert.deepEqual((await t.letta.agents.folders.list(id)).items, [])
    },
  },
  {
    name: 'agents.folders.list',
    shows: 'the folders of an agent',
    async run(t) {
      const { folder } = await aFolder(t)
      const id = await anAgentWith(t, folder.id)
      assert.deepEqual(
        (await t.letta.agents.folders.list(id)).items.map((f) => f.id),
        [folder.id],
      )
    },
  },
  {
    name: 'agents.files.list',
    shows: 'files with what is seen of them, by whether they are open',
    async run(t) {
      const { folder } = await aFolder(t, 'seen.txt', 'alpha\nbeta')
      const id = await anAgentWith(t, folder.id)
      const [file] = (await t.letta.agents.files.list(id, { is_open: true })).files
      assert.equal(file?.visible_content, '[Viewing file (2 lines)]\n1: alpha\n2: beta')
      assert.deepEqual([file.start_line, file.end_line], [1, 2])
      assert.deepEqual((await t.letta.agents.files.list(id, { is_open: false })).files, [])
    },
  },
  {
    name: 'agents.files.open',
    shows: 'an open file, and the names of those closed to make room',
    async run(t) {
      const { folder, file } = await aFolder(t, 'first.txt')
      const id = await anAgentWith(t, folder.id, { max_files_open: 1 })
      const second = await t.letta.folders.files.upload(folder.id, { file: new File(['2'], 'second.txt') })
      assert.deepEqual(await t.letta.agents.files.open(second.id, { agent_id: id }), [
        `${folder.name}/first.txt`,
      ])
      assert.deepEqual(await t.letta.agents.files.open(file.id, { agent_id: id }), [
        `${folder.name}/second.txt`,
      ])
    },
  },
  {
    name: 'agents.files.close',
    shows: 'a closed file',
    async run(t) {
      const { folder, file } = await aFolder(t)
      const id = await anAgentWith(t, folder.id)
      await t.letta.agents.files.close(file.id, { agent_id: id })
      const [closed] = (await t.letta.agents.files.list(id)).files
      assert.deepEqual([closed?.is_open, closed?.visible_content], [false, null])
    },
  },
  {
    name: 'agents.files.closeAll',
    shows: 'the names of the files that were open',
    async run(t) {
      const { folder } = await aFolder(t)
      const id = await anAgentWith(t, folder.id)
      assert.deepEqual(await t.letta.agents.files.closeAll(id), [`${folder.name}/notes.md`])
      assert.deepEqual(await t.letta.agents.files.closeAll(id), [])
    },
  },
]

async function get(t: ContractTest, path: string): Promise<unknown> {
  const { status, body } = await t.http('GET', path)
  assert.equal(status, 200, JSON.stringify(body))
  return body
}

type Stats = { total_sources: number; sources: { source_id: string; file_count: number }[] }
type Item = { id: string; name?: string; text?: string }

/** What the official client has no method for: the rest of the folders' routes, and the old spelling of them all. */
export const folderOperations: PlainOperation[] = (['folders', 'sources'] as const).flatMap((noun) => {
  const id = `{${noun === 'folders' ? 'folder' : 'source'}_id}`
  const shared: PlainOperation[] = [
    {
      name: `GET /v1/${noun}/count`,
      shows: 'how many there are',
      async run(t) {
        const before = (await get(t, `/v1/${noun}/count`)) as number
        await t.letta.folders.create({ name: aName() })
        assert.equal(await get(t, `/v1/${noun}/count`), before + 1)
      },
    },
    {
      name: `GET /v1/${noun}/metadata`,
      shows: 'sizes, of each when they are asked for',
      async run(t) {
        const { folder } = await aFolder(t)
        assert.ok(((await get(t, `/v1/${noun}/metadata`)) as Stats).total_sources > 0)
        const whole = await get(t, `/v1/${noun}/metadata?include_detailed_per_source_metadata=true`)
        const one = (whole as Stats).sources.find((source) => source.source_id === folder.id)
        assert.equal(one?.file_count, 1)
      },
    },
    {
      name: `GET /v1/${noun}/name/{${noun === 'folders' ? 'folder' : 'source'}_name}`,
      shows: 'the id of a name',
      async run(t) {
        const folder = await t.letta.folders.create({ name: aName() })
        assert.equal(await get(t, `/v1/${noun}/name/${encodeURIComponent(folder.name)}`), folder.id)
        assert.equal((await t.http('GET', `/v1/${noun}/name/nobody`)).status, 404)
      },
    },
    {
      name: `GET /v1/${noun}/${id}/passages`,
      shows: 'the parts of its files',
      async run(t) {
        const { folder } = await aFolder(t)
        const [passage] = (await get(t, `/v1/${noun}/${folder.id}/passages`)) as Item[]
        assert.equal(passage?.text, '# Notes\n\nThe parrot is called Iago.')
      },
    },
  ]
  return shared
})

/** Not of V1. */
export const fileSearchOperations: PlainOperation[] = [
  {
    name: 'GET /v1/agents/{agent_id}/files/search',
    shows: 'parts of the files of an agent',
    async run(t) {
      const { folder } = await aFolder(t)
      const agent = await t.newAgent({ folder_ids: [folder.id] })
      const found = (await get(t, `/v1/agents/${agent.id}/files/search?query=parrot`)) as { text: string }[]
      assert.match(found[0]?.text ?? '', /The parrot is called Iago/)
    },
  },
]

/** The old spelling of what the client's methods call. */
export const sourceOperations: PlainOperation[] = [
  {
    name: 'POST /v1/sources',
    shows: 'a folder, under its old name; the whole old spelling serves it',
    async run(t) {
      const name = aName()
      const made = await t.http('POST', '/v1/sources/', { name })
      const { id } = made.body as Item
      assert.equal(made.status, 200)
      assert.ok(((await get(t, '/v1/sources/')) as Item[]).some((source) => source.id === id))
      assert.deepEqual(await get(t, `/v1/sources/${id}`), made.body)
      const patched = await t.http('PATCH', `/v1/sources/${id}`, { description: 'new' })
      assert.equal((patched.body as { description: string }).description, 'new')
      const agent = await t.newAgent()
      const at = `/v1/agents/${agent.id}/sources`
      assert.equal((await t.http('PATCH', `${at}/attach/${id}`)).status, 200)
      assert.deepEqual(
        ((await get(t, at)) as Item[]).map((source) => source.id),
        [id],
      )
      assert.deepEqual(await get(t, `/v1/sources/${id}/agents`), [agent.id])
      assert.equal((await t.http('PATCH', `${at}/detach/${id}`)).status, 200)
      const form = new FormData()
      form.append('file', new File(['text'], 'a.txt'))
      const upload = { method: 'POST', body: form }
      const sent = await t.recorder.fetch(`${t.loci.url}/v1/sources/${id}/upload`, upload)
      const file = (await sent.json()) as Item
      const [listed] = (await get(t, `/v1/sources/${id}/files`)) as Item[]
      assert.equal(listed?.id, file.id)
      assert.equal(((await get(t, `/v1/sources/${id}/files/${file.id}`)) as Item).id, file.id)
      assert.equal((await t.http('DELETE', `/v1/sources/${id}/${file.id}`)).status, 204)
      assert.equal((await t.http('DELETE', `/v1/sources/${id}`)).status, 200)
    },
  },
]

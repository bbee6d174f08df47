import assert from 'node:assert/strict'
import type { FileClaim, NewFile } from '../../../shared/core/ports/file-store.ts'
import { type Folder } from '../../../shared/schema/folder.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { ADA, anAgent, aRun, at, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const

export function aFolder(more: Partial<Folder> = {}): Folder {
  const id = newId('source')
  return {
    id,
    name: `folder ${id}`,
    description: null,
    instructions: null,
    metadata: null,
    embedding_config: {
      embedding_endpoint_type: 'openai',
      embedding_model: 'none',
      embedding_dim: 0,
      batch_size: 32,
    },
    vector_db_provider: 'native',
    created_by_id: ADA.user_id,
    last_updated_by_id: ADA.user_id,
    created_at: at(0),
    updated_at: at(0),
    ...more,
  }
}

function aFile(folder_id: string, name: string): NewFile {
  return { id: newId('file'), folder_id, name, type: null, size: 1 }
}

/** All of the text of a file. */
export async function textOf({ store }: Subject, file_id: string): Promise<string | undefined> {
  const whole = { start_line: 0, end_line: null, max_chars: Infinity }
  return (await store.files.read(ADA, file_id, whole))?.text
}

async function theClaim({ store }: Subject, file_id: string): Promise<FileClaim> {
  const claim = await store.files.claim({ max_attempts: 3 })
  assert.ok(claim)
  assert.equal(claim.file_id, file_id)
  return claim
}

/** A file that was read, of these pieces, each of which is found by search; its id. */
export async function aReadFile(
  subject: Subject,
  folder_id: string,
  name: string,
  ...texts: string[]
): Promise<string> {
  const { files } = subject.store
  const { file } = await files.create(ADA, aFile(folder_id, name), 'error')
  const claim = await theClaim(subject, file.id)
  let first_line = 0
  for (const text of texts) {
    const lines = text.split('\n').length
    const chunk = { text, first_line, last_line: first_line + lines - 1 }
    assert.ok(await files.append(claim, { pieces: [{ first_line, text }], chunks: [chunk] }))
    first_line += lines
  }
  const characters = texts.join('\n').length
  const end = { status: 'completed', type: 'text/plain', lines: first_line, characters } as const
  assert.ok(await files.finish(claim, end))
  return file.id
}

export function describeFiles(subject: Subject): void {
  describe('folders and files', () => {
    const claimOf = (file_id: string) => theClaim(subject, file_id)
    const readFile = (folder_id: string, name: string, ...texts: string[]) =>
      aReadFile(subject, folder_id, name, ...texts)

    it('a folder is kept as it was given, its name is unique, and nobody else has it', async () => {
      const { folders } = subject.store
      const given = aFolder({ description: 'd', metadata: { a: 1 } })
      await folders.create(ADA, given)
      assert.deepEqual(await folders.get(ADA, given.id), given)
      await assert.rejects(folders.create(ADA, aFolder({ name: given.name })), { code: 'conflict' })
      const other = await folders.create(ADA, aFolder({ created_at: at(1) }))
      await assert.rejects(folders.update(ADA, other.id, { name: given.name }), { code: 'conflict' })
      assert.equal((await folders.update(ADA, other.id, { instructions: 'i' }))?.instructions, 'i')
      assert.deepEqual((await folders.list(ADA, { name: given.name }, page)).length, 1)
      assert.equal(await folders.get(EVE, given.id), null)
      assert.equal(await folders.update(EVE, given.id, { name: 'x' }), null)
      assert.equal(await folders.delete(EVE, given.id), false)
      await folders.create(EVE, aFolder({ name: given.name }))
      const agent = await subject.store.agents.create(EVE, anAgent('eve'))
      await assert.rejects(folders.attach(EVE, agent.id, given.id), { code: 'not_found' })
      await assert.rejects(folders.attach(ADA, agent.id, given.id), { code: 'not_found' })
    })

    it('a file is read by who claims it, part by part', async () => {
      const { folders, files } = subject.store
      const { id: folder_id } = await folders.create(ADA, aFolder())
      const id = await readFile(folder_id, 'a.txt', 'one\ntwo', 'three\nfour')
      const file = await files.get(ADA, id)
      assert.deepEqual(
        [file?.processing_status, await textOf(subject, id), file?.total_chunks, file?.file_type],
        ['completed', 'one\ntwo\nthree\nfour', 2, 'text/plain'],
      )
      assert.equal(await files.claim({ max_attempts: 3 }), null)
      assert.equal(await files.get(EVE, id), null)
      const lines = (start_line: number, end_line: number | null, max_chars: number) =>
        files.read(ADA, id, { start_line, end_line, max_chars })
      assert.deepEqual(await lines(1, 3, 99), { text: 'two\nthree', first_line: 1, next_line: 3 })
      assert.deepEqual(await lines(0, null, 8), { text: 'one\ntwo', first_line: 0, next_line: 2 })
      assert.deepEqual(await lines(2, null, 1), { text: 'three', first_line: 2, next_line: 3 })
      assert.equal(await lines(4, null, 99), null)
      assert.equal(await files.read(EVE, id, { start_line: 0, end_line: null, max_chars: 9 }), null)
      assert.deepEqual(
        (await files.passages(ADA, folder_id, page)).map((p) => [p.text, p.file_id, p.source_id]),
        [
          ['one\ntwo', id, folder_id],
          ['three\nfour', id, folder_id],
        ],
      )
    })

    it('a file is claimed by its age, or by its size where only small ones are wanted', async () => {
      const { folders, files } = subject.store
      const { id: folder_id } = await folders.create(ADA, aFolder())
      const added = async (name: string, size: number) =>
        (await files.create(ADA, { ...aFile(folder_id, name), size }, 'error')).file.id
      const large = await added('large.txt', 5000)
      const small = await added('small.txt', 50)
      const smaller = await added('smaller.txt', 5)
      const quick = (...except: string[]) =>
        files.claim({ max_attempts: 3, quick: { max_size: 100, except: new Set(except) } })
      assert.equal((await quick(smaller))?.file_id, small)
      assert.equal((await files.claim({ max_attempts: 3 }))?.file_id, large)
      assert.equal((await quick())?.file_id, smaller)
      assert.equal(await quick(), null)
      assert.deepEqual(await files.known([large, newId('file')]), [large])
    })

    it('a file that several parts of a process claim at once is claimed by one of them, and stays so', async () => {
      const { folders, files } = subject.store
      const { id: folder_id } = await folders.create(ADA, aFolder())
      for (let i = 0; i < 10; i++) {
        const { file } = await files.create(ADA, aFile(folder_id, `${i}.txt`), 'error')
        const claims = await Promise.all(Array.from({ length: 4 }, () => files.claim({ max_attempts: 3 })))
        const [claim, ...more] = claims.filter((one) => one !== null)
        assert.deepEqual([claim?.file_id, claim?.attempt, more.length], [file.id, 1, 0])
        assert.ok(claim)
        assert.equal(await files.claim({ max_attempts: 3 }), null)
        assert.ok(await files.finish(claim, { status: 'error', message: 'no' }))
      }
    })

    it('a file is claimed however many before it are being read, also of the small ones', async () => {
      const { folders, files } = subject.store
      const { id: folder_id } = await folders.create(ADA, aFolder())
      const ids = Array.from({ length: 103 }, () => newId('file'))
      for (const id of ids) await files.create(ADA, { ...aFile(folder_id, `${id}.txt`), id }, 'error')
      const taken: (string | undefined)[] = []
      for (let i = 0; i < 101; i++) taken.push((await files.claim({ max_attempts: 3 }))?.file_id)
      const quick = { max_size: 100, except: new Set<string>() }
      taken.push((await files.claim({ max_attempts: 3, quick }))?.file_id)
      const waiting = ids.filter((id) => !taken.includes(id))
      assert.equal(waiting.length, 1)
      assert.equal(
        await files.claim({ max_attempts: 3, quick: { ...quick, except: new Set(waiting) } }),
        null,
      )
      taken.push((await files.claim({ max_attempts: 3 }))?.file_id)
      assert.deepEqual(taken.toSorted(), ids.toSorted())
      assert.equal(await files.claim({ max_attempts: 3 }), null)
    })

    it('a claim that was given back, or whose file is gone, writes nothing more', async () => {
      const { folders, files } = subject.store
      const { id: folder_id } = await folders.create(ADA, aFolder())
      const { file } = await files.create(ADA, aFile(folder_id, 'a.txt'), 'error')
      const first = await claimOf(file.id)
      const batch = { pieces: [{ first_line: 0, text: 'old' }], chunks: [] }
      assert.ok(await files.append(first, batch))
      assert.equal(await files.claim({ max_attempts: 3 }), null, 'it is being read')
      await files.release(first)
      assert.equal(await files.append(first, batch), false)
      const second = await claimOf(file.id)
      assert.equal(await textOf(subject, file.id), undefined, 'begun anew')
      assert.ok(await files.delete(ADA, folder_id, file.id))
      assert.equal(await files.append(second, batch), false)
      const end = { status: 'completed', type: 'text/plain', lines: 1, characters: 1 } as const
      assert.equal(await files.finish(second, end), false)
      assert.equal(await files.get(ADA, file.id), null)
    })

    it('a file tells why its reading takes long, until it is read', async () => {
      const { folders, files } = subject.store
      const { id: folder_id } = await folders.create(ADA, aFolder())
      const { file } = await files.create(ADA, aFile(folder_id, 'a.txt'), 'error')
      const told = async () => (await files.get(ADA, file.id))?.error_message
      assert.deepEqual(await files.unreadOf(ADA, folder_id), [file.id])
      assert.deepEqual(await files.unreadOf(EVE, folder_id), [])
      const first = await claimOf(file.id)
      assert.ok(await files.note(first, 'waiting for a parser'))
      assert.equal(await told(), 'waiting for a parser')
      await files.release(first)
      assert.equal(await files.note(first, 'late'), false)
      const second = await claimOf(file.id)
      assert.equal(await told(), null, 'begun anew')
      await files.note(second, 'waiting again')
      const end = { status: 'completed', type: 'text/plain', lines: 1, characters: 1 } as const
      await files.finish(second, end)
      assert.equal(await told(), null)
      assert.deepEqual(await files.unreadOf(ADA, folder_id), [])
    })

    it('an error leaves its text, and nothing of the file', async () => {
      const { folders, files } = subject.store
      const { id: folder_id } = await folders.create(ADA, aFolder())
      const { file } = await files.create(ADA, aFile(folder_id, 'a.txt'), 'error')
      const claim = await claimOf(file.id)
      const chunks = [{ text: 'half', first_line: 0, last_line: 0 }]
      await files.append(claim, { pieces: [{ first_line: 0, text: 'half' }], chunks })
      assert.ok(await files.finish(claim, { status: 'error', message: 'no good' }))
      const failed = await files.get(ADA, file.id)
      assert.deepEqual(
        [
          failed?.processing_status,
          failed?.error_message,
          await textOf(subject, file.id),
          failed?.total_chunks,
        ],
        ['error', 'no good', undefined, 0],
      )
      assert.deepEqual(await files.passages(ADA, folder_id, page), [])
    })

    it('a name that is taken is suffixed, skipped, refused or replaced', async () => {
      const { folders, files } = subject.store
      const { id: folder_id } = await folders.create(ADA, aFolder())
      const one = await files.create(ADA, aFile(folder_id, 'a.b.txt'), 'suffix')
      const two = await files.create(ADA, aFile(folder_id, 'a.b.txt'), 'suffix')
      assert.equal(two.file.original_file_name, 'a.b_(1).txt')
      const same = await files.create(ADA, aFile(folder_id, 'a.b.txt'), 'skip')
      assert.deepEqual([same.status, same.file.id], ['skipped', one.file.id])
      await assert.rejects(files.create(ADA, aFile(folder_id, 'a.b.txt'), 'error'), { code: 'conflict' })
      const third = await files.create(ADA, aFile(folder_id, 'a.b.txt'), 'replace')
      assert.equal(third.status === 'created' && third.replaced, one.file.id)
      assert.equal((await files.list(ADA, folder_id, page)).length, 2)
      await assert.rejects(files.create(EVE, aFile(folder_id, 'x'), 'suffix'), { code: 'not_found' })
    })

    it('an agent has the files of its folders, some of them open', async () => {
      const { agents, folders, files } = subject.store
      const { id: folder_id, name } = await folders.create(ADA, aFolder())
      const a = await readFile(folder_id, 'a.txt', 'alpha')
      const b = await readFile(folder_id, 'b.txt', 'beta')
      const agent = await agents.create(
        ADA,
        anAgent('ada', { fields: { max_files_open: 1 }, folder_ids: [folder_id] }),
      )
      const open = async () =>
        (await files.ofAgent(ADA, agent.id)).filter((file) => file.is_open).map((file) => file.path)
      assert.deepEqual(await open(), [`${name}/b.txt`], 'the newest, as far as there is room')
      const whole = (file_id: string) => ({ file_id, start_line: 0, end_line: null })
      assert.deepEqual(await files.open(ADA, agent.id, [whole(a)], { max_open: 1 }), [`${name}/b.txt`])
      assert.deepEqual(await open(), [`${name}/a.txt`])
      assert.deepEqual(await files.open(ADA, agent.id, [whole(b)], { max_open: 2 }), [])
      assert.deepEqual(await files.close(ADA, agent.id, 'all'), [`${name}/a.txt`, `${name}/b.txt`])
      await assert.rejects(files.open(ADA, agent.id, [whole(newId('file'))], { max_open: 1 }), {
        code: 'not_found',
      })
      await assert.rejects(files.open(EVE, agent.id, [whole(a)], { max_open: 1 }), { code: 'not_found' })
      const { file: late } = await files.create(ADA, aFile(folder_id, 'late.txt'), 'error')
      assert.ok((await files.ofAgent(ADA, agent.id)).some((file) => file.file_id === late.id))
      assert.deepEqual(await folders.agents(ADA, folder_id, page), [agent.id])
      await folders.detach(ADA, agent.id, folder_id)
      assert.deepEqual(await files.ofAgent(ADA, agent.id), [])
      await files.delete(ADA, folder_id, late.id)
    })

    it('a turn begins with what the prompt shows of them', async () => {
      const { agents, folders, turns } = subject.store
      const { id: folder_id, name } = await folders.create(ADA, aFolder({ description: 'd' }))
      await readFile(folder_id, 'a.txt', 'alpha\nbeta')
      const agent = await agents.create(ADA, anAgent('ada', { folder_ids: [folder_id] }))
      const opened = await turns.open(ADA, { run: aRun(agent.id), conversation_id: agent.id, messages: [] })
      assert.deepEqual(opened.agent.directories, [
        {
          name,
          description: 'd',
          instructions: null,
          files: [
            {
              path: `${name}/a.txt`,
              characters: 10,
              lines: 2,
              view: { text: 'alpha\nbeta', first_line: 0, next_line: 2 },
            },
          ],
          more: 0,
        },
      ])
    })

    it('search finds parts of the files of an agent, best first, and of nobody else', async () => {
      const { agents, folders, files } = subject.store
      const { id: folder_id, name } = await folders.create(ADA, aFolder())
      const id = await readFile(folder_id, 'a.txt', 'parrots are birds', 'tea is a drink', 'birds drink')
      const agent = await agents.create(ADA, anAgent('ada', { folder_ids: [folder_id] }))
      const found = (query: string, actor = ADA) =>
        files.search(actor, { agent_id: agent.id, query, limit: 5 })
      assert.deepEqual(await found('parrot'), [
        { file_id: id, path: `${name}/a.txt`, text: 'parrots are birds', first_line: 0, last_line: 0 },
      ])
      assert.equal((await found('birds drink'))[0]?.text, 'birds drink')
      assert.deepEqual(await found('" OR ('), [])
      assert.deepEqual(await found('parrot', EVE), [])
      await folders.delete(ADA, folder_id)
      assert.deepEqual(await found('parrot'), [])
      assert.equal(await files.get(ADA, id), null)
    })
  })
}

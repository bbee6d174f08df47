import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileIngest } from '../../shared/core/files/ingest.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import { newId } from '../../shared/schema/ids.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { createFileParser } from '../../shared/tools/files/file-parser.ts'
import { aFolder } from '../contracts/store/files.ts'
import { ADA } from '../contracts/store/samples.ts'
import { eventually } from '../support/loci.ts'

/** Takes a parser minutes. */
const SLOW = '<div>'.repeat(100_000)

describe('the queue of uploads', function () {
  this.timeout(120_000)
  let data: string
  let uploads: string
  let store: Store
  let ingest: FileIngest
  let folder_id: string
  const failures: unknown[] = []

  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'loci-queue-'))
    uploads = join(data, 'files')
    await mkdir(uploads)
    store = await openSqliteStore({ directory: data, version: '0.0.0' })
    const parser = createFileParser({ parsers: join(data, 'parsers') })
    ingest = new FileIngest(
      { files: store.files, uploads: store.uploads, parser },
      (_, error) => failures.push(error),
      { quick: { time_ms: 3_000 } },
    )
    folder_id = (await store.folders.create(ADA, aFolder())).id
  })
  afterEach(async () => {
    await ingest.stop()
    await store.close()
    await rm(data, { recursive: true, force: true })
    assert.deepEqual(failures, [])
  })

  const upload = async (name: string, content: string): Promise<string> => {
    const id = newId('file')
    await writeFile(join(uploads, id), content)
    await store.files.create(ADA, { id, folder_id, name, type: null, size: content.length }, 'suffix')
    ingest.wake()
    return id
  }
  const statusOf = async (id: string) => (await store.files.get(ADA, id))?.processing_status
  const until = (id: string, status: string) =>
    eventually(`the file is ${status}`, async () => ((await statusOf(id)) === status ? true : null), 60_000)

  it('lets a small file wait for no large one, and for none that takes long', async () => {
    const large = await upload('large.html', SLOW + ' '.repeat(1024 * 1024))
    await until(large, 'parsing')
    const slow = [await upload('a.html', SLOW), await upload('b.html', SLOW)]
    const small = await upload('small.txt', 'a few words')
    await until(small, 'completed')
    assert.equal(await statusOf(large), 'parsing')
    const next = await upload('next.txt', 'a few more')
    await until(next, 'completed')
    for (const id of slow) assert.ok(['pending', 'parsing'].includes((await statusOf(id)) ?? ''))
  })

  it('removes uploads that nobody will read: those of files that were read or given up, and of requests that broke off', async () => {
    const waiting = newId('file')
    await writeFile(join(uploads, waiting), 'it waits')
    const file = { id: waiting, folder_id, name: 'a.txt', type: null, size: 8 }
    await store.files.create(ADA, file, 'suffix')
    const read = await upload('b.txt', 'it is read')
    await until(read, 'completed')
    await until(waiting, 'completed')
    await eventually('both are gone', async () => ((await readdir(uploads)).length === 0 ? true : null))
    const long_ago = new Date(Date.now() - 3_600_000)
    const broken = [newId('file'), `${newId('file')}.part`]
    for (const name of [...broken, read]) await writeFile(join(uploads, name), 'left')
    for (const name of broken) await utimes(join(uploads, name), long_ago, long_ago)
    const coming = [newId('file'), `${newId('file')}.part`]
    for (const name of coming) await writeFile(join(uploads, name), 'it comes')
    await ingest.tidy()
    assert.deepEqual((await readdir(uploads)).toSorted(), coming.toSorted())
  })
})

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { allOf, describeUploads } from '../contracts/uploads.contract.ts'
import { startServer, type TestServer } from './server.ts'

describe('with PostgreSQL', function () {
  this.timeout(120_000)
  let server: TestServer
  let made = 0
  before(async () => {
    server = await startServer()
    await server.create('migrated')
    const directory = await mkdtemp(join(tmpdir(), 'loci-uploads-'))
    await (await openPostgresStore({ address: server.address('migrated'), directory })).close()
    await rm(directory, { recursive: true })
  })
  after(() => server?.stop())

  const world = async () => {
    const name = `uploads_${made++}`
    await server.create(name, 'migrated')
    const folders = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), 'loci-uploads-'))))
    const stores = await Promise.all(
      folders.map((directory) => openPostgresStore({ address: server.address(name), directory })),
    )
    return {
      uploads: stores[0]!.uploads,
      other: stores[1]!.uploads,
      folders,
      close: async () => {
        for (const store of stores) await store.close()
        for (const folder of folders) await rm(folder, { recursive: true })
        await server.drop(name)
      },
    }
  }

  describeUploads('uploads in the database', world)

  it('an upload goes on when the database is restarted in the middle of it', async () => {
    const { uploads, other, folders, close } = await world()
    const incoming = await uploads.begin('file-1')
    await incoming.write(Buffer.alloc(3_000_000, 1))
    await server.crash()
    await incoming.write(Buffer.alloc(3_000_000, 2))
    await incoming.finish()
    const upload = await other.fetch('file-1', { signal: new AbortController().signal })
    assert.ok(upload)
    assert.ok(upload.path.startsWith(folders[1]!))
    await upload.close()
    assert.deepEqual(await readdir(join(folders[1]!, 'files')), [])
    await uploads.discard('file-1')
    assert.deepEqual(await allOf(other), [])
    await close()
  })
})

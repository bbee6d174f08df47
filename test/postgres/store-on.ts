import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { describeStore } from '../contracts/store.contract.ts'
import { startServer, type TestServer } from './server.ts'

/** The contract of `Store` on a server of these programs, a database for each test. */
export function describeStoreOn(name: string, programs: () => string | undefined): void {
  describe(name, () => {
    let server: TestServer | undefined
    let directory = ''
    let made = 0

    before(async function () {
      this.timeout(120_000)
      server = await startServer(programs())
      directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
      // Migrated once; each test has a copy.
      await server.create('migrated')
      await (await openPostgresStore({ address: server.address('migrated'), directory })).close()
    })
    after(async () => {
      await server?.stop()
      if (directory !== '') await rm(directory, { recursive: true })
    })

    describeStore('PostgresStore', async () => {
      if (!server) throw new Error('there is no server')
      const database = `store_${made++}`
      const address = server.address(database)
      await server.create(database, 'migrated')
      const store = await openPostgresStore({ address, directory })
      return {
        store,
        reopen: () => openPostgresStore({ address, directory }),
        close: async () => {
          await store.close()
          await server?.drop(database)
        },
      }
    })
  })
}

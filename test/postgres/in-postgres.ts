// For `mocha --require`: runs suites that start Locis with PostgreSQL instead of their data directories.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPostgresStore } from '../../shared/store/postgres/postgres-store.ts'
import { otherStore } from '../support/loci.ts'
import { startServer, type TestServer } from './server.ts'

let server: TestServer | undefined
let directory = ''
const databases = new Map<string, Promise<string>>()

export const mochaHooks = {
  async beforeAll(this: Mocha.Context) {
    this.timeout(120_000)
    const started = await startServer()
    server = started
    directory = await mkdtemp(join(tmpdir(), 'loci-pg-keys-'))
    await started.create('migrated')
    await (await openPostgresStore({ address: started.address('migrated'), directory })).close()
    otherStore.of = (data) => {
      let address = databases.get(data)
      if (!address) {
        const name = `data_${databases.size}`
        address = started.create(name, 'migrated').then(() => started.address(name))
        databases.set(data, address)
      }
      return address
    }
  },
  async afterAll() {
    await server?.stop()
    if (directory !== '') await rm(directory, { recursive: true })
  },
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { describeStore } from '../contracts/store.contract.ts'

describeStore('SqliteStore', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'loci-store-'))
  const store = await openSqliteStore({ directory })
  return {
    store,
    reopen: () => openSqliteStore({ directory }),
    close: async () => {
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
})

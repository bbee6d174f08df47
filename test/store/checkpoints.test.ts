import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Checkpoints } from '../../shared/store/sqlite/checkpoints.ts'

describe('checkpoints', () => {
  let directory: string
  let path: string
  let database: DatabaseSync

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'loci-checkpoints-'))
    path = join(directory, 'some.db')
    database = new DatabaseSync(path)
    database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (text)')
  })

  afterEach(() => {
    database.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const write = () => database.exec('INSERT INTO t VALUES (hex(zeroblob(50000)))')
  const unexpected = () => assert.fail('called')

  /** Waits, in turns of the event loop, until it is so. */
  async function until(what: string, is: () => boolean): Promise<void> {
    const deadline = Date.now() + 30_000
    while (!is()) {
      assert.ok(Date.now() < deadline, `waited 30 s until ${what}`)
      await new Promise(setImmediate)
    }
  }

  it('write the log back after so many commits, in another thread', async () => {
    const checkpoints = new Checkpoints({ path, here: unexpected, onLoss: unexpected, commits: 2 })
    const before = statSync(path).size
    for (let i = 0; i < 2; i++) {
      write()
      assert.equal(statSync(path).size, before)
      checkpoints.committed()
    }
    await until('the database has what was in the log', () => statSync(path).size > before + 200_000)
    await checkpoints.close()
  })

  it('are finished by the writer when the log has grown too long', async () => {
    let here = 0
    const checkpoints = new Checkpoints({
      path,
      here: () => void here++,
      onLoss: unexpected,
      commits: 1,
      most_pages: 3,
    })
    write()
    checkpoints.committed()
    await until('the writer was asked', () => here === 1)
    await checkpoints.close()
  })

  it('are left to SQLite when there is no thread, and closing does not wait for it', async () => {
    let lost = 0
    const checkpoints = new Checkpoints({
      path: join(directory, 'missing', 'some.db'),
      here: unexpected,
      onLoss: () => void lost++,
      commits: 1,
    })
    checkpoints.committed()
    await until('the loss is told', () => lost === 1)
    checkpoints.committed()
    await checkpoints.close()
    assert.equal(lost, 1)
  })
})

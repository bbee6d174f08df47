import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import { backUp } from '../../shared/store/sqlite/backup.ts'
import { openDatabase } from '../../shared/store/sqlite/database.ts'
import { fileSystemOf, fuseKind, isShared, refuseShared } from '../../shared/store/sqlite/file-system.ts'
import { MIGRATIONS } from '../../shared/store/sqlite/migrate.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { aBlock, ADA, anAgent, aRun } from '../contracts/store/samples.ts'

describe('the files of SqliteStore', () => {
  let root = ''
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'loci-files-'))
  })
  afterEach(() => rm(root, { recursive: true }))

  const refused = (directory: string, ...words: (string | RegExp)[]) =>
    assert.rejects(openSqliteStore({ directory }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'store_unavailable', error.message)
      for (const word of words) assert.ok(error.message.search(word) >= 0, `${word} in: ${error.message}`)
      return true
    })

  it('are made for this user only, and nothing is left running after the close', async () => {
    const directory = join(root, 'new', 'data')
    const store = await openSqliteStore({ directory })
    assert.equal((await stat(directory)).mode & 0o777, 0o700)
    await store.close()
    await store.close()
    assert.deepEqual((await readdir(directory)).toSorted(), ['backups', 'instances', 'loci.db'])
    await assert.rejects(store.ready(), { code: 'store_unavailable', message: /closed/ })
  })

  it('can be read by this user only, also in a directory that others may read', async () => {
    await chmod(root, 0o755)
    const umask = process.umask(0)
    const modes = async () => {
      const found: Record<string, number> = {}
      for (const name of await readdir(root, { recursive: true })) {
        const { mode } = await stat(join(root, name))
        if (name.includes('.db')) found[name.replace(/[0-9a-f-]{36}/, 'id')] = mode & 0o777
      }
      return found
    }
    try {
      const open = async () => {
        const store = await openSqliteStore({ directory: root })
        const { id } = await store.agents.create(ADA, anAgent('ada'))
        await store.turns.open(ADA, { run: aRun(id), conversation_id: id, messages: [] })
        return store
      }
      const store = await open()
      const files = ['instances/id.db', 'loci.db', 'loci.db-shm', 'loci.db-wal']
      assert.deepEqual(await modes(), Object.fromEntries(files.map((name) => [name, 0o600])))
      await store.close()
      await chmod(join(root, 'loci.db'), 0o664)
      const again = await open()
      const { 'loci.db': database, 'loci.db-wal': log } = await modes()
      assert.deepEqual([database, log], [0o600, 0o600])
      await again.close()
      const migrations = [...MIGRATIONS, 'CREATE TABLE later (id TEXT)']
      await (await openDatabase({ directory: root, version: '1.0.0', migrations })).close()
      const backups = Object.entries(await modes()).filter(([name]) => name.startsWith('backups'))
      assert.deepEqual(
        backups.map(([, mode]) => mode),
        [0o600],
      )
    } finally {
      process.umask(umask)
    }
  })

  it('on a network or shared file system are refused with the reason, unless that is allowed', async () => {
    for (const kind of ['nfs', 'smb', 'cifs', '9p', 'fuse.sshfs', 'fuse.rclone', 'fuse.glusterfs']) {
      assert.ok(isShared(kind), kind)
      assert.throws(() => refuseShared('/mnt/data', { kind, shared: true }, false), {
        code: 'store_unavailable',
        message: new RegExp(`/mnt/data is on a network.*\\(${kind}\\).*LOCI_HOME.*LOCI_ALLOW_NETWORK_FS=1`),
      })
      refuseShared('/mnt/data', { kind, shared: true }, true)
    }
    for (const kind of ['ext4', 'btrfs', 'tmpfs', 'overlay', 'fuse', 'fuse.ntfs-3g', 'fuse.fuse-overlayfs'])
      assert.ok(!isShared(kind), kind)
    const { kind, shared } = fileSystemOf(root)
    if (process.platform === 'linux') assert.ok(kind)
    refuseShared(root, { kind, shared }, false)
    const missing = join(root, 'not', 'yet', 'there')
    assert.equal(fileSystemOf(missing).kind, kind, 'known before anything is made')
    assert.deepEqual(await readdir(root), [])
  })

  it('tell the kinds of FUSE apart by the mount that holds the directory', () => {
    const mounts = [
      '21 1 8:1 / / rw - ext4 /dev/sda1 rw',
      '36 21 0:31 / /home/ada/my\\040files rw,nosuid shared:9 - fuse.sshfs host: rw',
      '37 36 0:32 / /home/ada/my\\040files/local rw - fuse.ntfs-3g /dev/sdb1 rw',
      '38 21 0:33 / /mnt rw - ext4 /dev/sdc1 rw',
      '39 38 0:34 / /mnt rw - fuse.rclone remote: rw',
    ].join('\n')
    for (const [path, kind] of [
      ['/home/ada', 'ext4'],
      ['/home/ada/my files', 'fuse.sshfs'],
      ['/home/ada/my files/.loci', 'fuse.sshfs'],
      ['/home/ada/my files/local/x', 'fuse.ntfs-3g'],
      ['/home/ada/my files 2', 'ext4'],
      ['/mnt/x', 'fuse.rclone'],
    ] as const)
      assert.equal(fuseKind(path, mounts), kind, path)
    assert.equal(fuseKind('/', ''), null)
  })

  it('that others keep locked: a command gives up in time and says what to do', async () => {
    const database = await openDatabase({ directory: root, version: '1.0.0', lock_deadline_ms: 200 })
    const other = new DatabaseSync(join(root, 'loci.db'))
    other.exec('BEGIN IMMEDIATE')
    await assert.rejects(
      database.write(() => 1),
      {
        code: 'store_unavailable',
        message: /loci\.db was locked .* more than 0\.2 seconds, so nothing was written/,
      },
    )
    other.exec('COMMIT')
    other.close()
    assert.equal(await database.write(() => 1), 1)
    await database.close()
  })

  it('are flushed to the disk itself, also where the system would not', async () => {
    const database = await openDatabase({ directory: root, version: '1.0.0' })
    const flags = await database.write(async (tx) => [
      await tx.get(sql`PRAGMA fullfsync`),
      await tx.get(sql`PRAGMA checkpoint_fullfsync`),
    ])
    assert.deepEqual(
      flags.map((flag) => ({ ...(flag as object) })),
      [{ fullfsync: 1 }, { checkpoint_fullfsync: 1 }],
    )
    await database.close()
  })

  it('whose log is gone when it is flushed: nothing is acknowledged, early or not', async () => {
    const first = await openDatabase({ directory: root, version: '1.0.0' })
    await first.write((tx) => tx.get(sql`select 1`))
    const database = await openDatabase({ directory: root, version: '1.0.0' })
    await database.read((c) => c.get(sql`select count(*) from agents`))
    const log = join(root, 'loci.db-wal')
    await rename(log, `${log}.away`)
    const gone = { code: 'store_unavailable' }
    const work = () => 1
    await assert.rejects(database.write(work), gone)
    const early = await database.writeEarly(work)
    assert.equal(early.value, 1)
    await assert.rejects(early.durable, gone)
    await rename(`${log}.away`, log)
    assert.equal(await database.write(work), 1)
    await database.close()
    await first.close()
  })

  it('in a directory that cannot be written: the error names it', async () => {
    const locked = join(root, 'locked')
    await mkdir(locked)
    await chmod(locked, 0o500)
    // Root may write anywhere: then the test acts as nobody for a moment.
    const asRoot = process.geteuid?.() === 0
    if (asRoot) {
      await chmod(root, 0o755)
      process.seteuid?.(65534)
    }
    try {
      await refused(join(locked, 'data'), join(locked, 'data'), 'not writable')
    } finally {
      if (asRoot) process.seteuid?.(0)
      await chmod(locked, 0o700)
    }
  })

  it('with a file where the directory should be: the error says so', async () => {
    const file = join(root, 'file')
    await writeFile(file, 'mine')
    await refused(file, file, 'in the way')
    await refused(join(file, 'below'), file, 'in the way')
  })

  it('where the system lets nobody make a directory: the error says so, at once', async function () {
    if (process.platform !== 'linux') this.skip()
    await refused('/proc/loci/data', '/proc/loci/data', 'cannot be created')
  })

  it('with something else, or a damaged database, in the place of loci.db: it is kept and named', async () => {
    const path = join(root, 'loci.db')
    await writeFile(path, 'This is a letter, not a database. '.repeat(200))
    await refused(root, path, 'not an SQLite database')
    assert.ok((await stat(path)).size > 1000)
    await rm(path)
    const store = await openSqliteStore({ directory: root })
    await store.agents.create(ADA, anAgent('ada'))
    await store.close()
    const { size } = await stat(path)
    const header = 4096
    const database = await import('node:fs/promises').then((fs) => fs.open(path, 'r+'))
    await database.write(Buffer.alloc(size - header, 0x5a), 0, size - header, header)
    await database.close()
    const damaged = async () => {
      const again = await openSqliteStore({ directory: root })
      try {
        await again.agents.list(ADA, {}, { limit: 10, order: 'asc' }, [])
      } finally {
        await again.close()
      }
    }
    await assert.rejects(damaged(), { code: 'store_unavailable', message: /loci\.db.*damaged.*backups/ })
  })

  it('with an emptied loci.db beside backups: the error names the newest of them', async () => {
    await (await openSqliteStore({ directory: root })).close()
    const { path } = await backUp({ directory: root })
    const database = join(root, 'loci.db')
    await writeFile(database, '')
    await refused(root, 'is empty', path, 'loci restore')
    assert.equal((await stat(database)).size, 0)
    await rm(path)
    await (await openSqliteStore({ directory: root })).close()
  })

  it('with the database of another program in their place: it is refused, and not changed', async () => {
    for (const version of [0, MIGRATIONS.length]) {
      const path = join(root, `v${version}`, 'loci.db')
      await mkdir(join(root, `v${version}`))
      const other = new DatabaseSync(path)
      other.exec(`CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = ${version}`)
      other.close()
      const before = await readFile(path)
      await refused(join(root, `v${version}`), 'of another program', "'bookmarks'", '--data')
      assert.deepEqual(await readFile(path), before)
    }
  })

  it('of a newer Loci: neither opened nor written, and the error says which', async () => {
    const old = await openSqliteStore({ directory: root, version: '0.1.0' })
    const migrations = [...MIGRATIONS, 'CREATE TABLE later (id TEXT)']
    const newer = await openDatabase({ directory: root, version: '9.9.9', migrations })
    await newer.close()
    const meets = { code: 'store_newer', message: /updated by Loci 9\.9\.9.*restart/ }
    await assert.rejects(old.blocks.create(ADA, aBlock('human', '')), meets)
    await assert.rejects(old.ready(), meets)
    assert.equal(await old.blocks.count(ADA, {}), 0)
    await old.close()
    await assert.rejects(openSqliteStore({ directory: root }), meets)
  })

  it('are copied before each migration of an existing database, the last three copies kept', async () => {
    const store = await openSqliteStore({ directory: root })
    const block = await store.blocks.create(ADA, aBlock('human', 'kept'))
    await store.close()
    assert.deepEqual(await readdir(join(root, 'backups')), [])
    const migrations = [...MIGRATIONS]
    for (let i = 0; i < 5; i++) {
      migrations.push(`CREATE TABLE later_${i} (id TEXT)`)
      const database = await openDatabase({ directory: root, version: '1.0.0', migrations })
      await database.close()
    }
    const copies = (await readdir(join(root, 'backups'))).toSorted()
    assert.deepEqual(
      copies.map((name) => name.replace(/^.*schema-/, '')),
      [2, 3, 4].map((n) => `${MIGRATIONS.length + n}.db`),
    )
    const copy = new DatabaseSync(join(root, 'backups', copies[0]!), { readOnly: true })
    assert.equal(copy.prepare('PRAGMA user_version').get()?.['user_version'], MIGRATIONS.length + 2)
    assert.equal(copy.prepare('SELECT value FROM blocks WHERE id = ?').get(block.id)?.['value'], 'kept')
    copy.close()
  })

  it('are as before when a migration fails', async () => {
    await (await openSqliteStore({ directory: root })).close()
    const migrations = [...MIGRATIONS, 'CREATE TABLE half (id TEXT); CREATE TABLE half (id TEXT)']
    await assert.rejects(openDatabase({ directory: root, version: '1.0.0', migrations }), /half/)
    const store = await openSqliteStore({ directory: root })
    await store.blocks.create(ADA, aBlock('human', ''))
    await store.close()
  })
})

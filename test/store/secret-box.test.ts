import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KEY_FILE, SecretBox } from '../../shared/store/secret-box.ts'
import { backUp } from '../../shared/store/sqlite/backup.ts'
import { examineStore } from '../../shared/store/sqlite/doctor.ts'
import { restore } from '../../shared/store/sqlite/restore.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { ADA, anAgent } from '../contracts/store/samples.ts'

describe('secrets on disk', () => {
  let root = ''
  let directory = ''
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'loci-secrets-'))
    directory = join(root, 'data')
  })
  afterEach(() => rm(root, { recursive: true }))

  const open = (encryption_key: string | null = null) => openSqliteStore({ directory, encryption_key })

  async function withSecret(value: string, encryption_key: string | null = null): Promise<string> {
    const store = await open(encryption_key)
    const { id } = await store.agents.create(ADA, anAgent('ada', { secrets: { TOKEN: value } }))
    await store.close()
    return id
  }

  async function valueOf(id: string, encryption_key: string | null = null): Promise<string | undefined> {
    const store = await open(encryption_key)
    try {
      return (await store.secrets.values(ADA, id))['TOKEN']
    } finally {
      await store.close()
    }
  }

  async function secretsFinding(encryption_key: string | null = null) {
    const findings = await examineStore(directory, { encryption_key })
    return findings.find(({ check }) => check === 'secrets')
  }

  it('are in no file of the data directory, and their key is for this user alone', async () => {
    const id = await withSecret('correct-horse-battery')
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const bytes = await readFile(join(entry.parentPath, entry.name))
      assert.ok(!bytes.includes('correct-horse-battery'), entry.name)
    }
    if (process.platform !== 'win32')
      assert.equal((await stat(join(directory, KEY_FILE))).mode & 0o777, 0o600)
    assert.equal(await valueOf(id), 'correct-horse-battery')
    assert.equal((await secretsFinding())?.status, 'ok')
  })

  it('make no key before there is something to keep', async () => {
    const store = await open()
    const { id } = await store.agents.create(ADA, anAgent('ada', { secrets: {} }))
    await store.agents.update(ADA, id, { secrets: {}, name: 'eva' })
    assert.deepEqual((await store.agents.get(ADA, id, ['agent.secrets']))?.secrets, [])
    await store.close()
    assert.ok(!(await readdir(directory)).includes(KEY_FILE))
  })

  it('use one key when several processes make it at once', async () => {
    const boxes = Array.from({ length: 8 }, () => new SecretBox({ directory: root, passphrase: null }))
    const keys = await Promise.all(boxes.map((box) => box.keysToWrite()))
    const sealed = keys.map((own) => own.seal('x', 'c'))
    assert.equal(new Set(sealed.map(({ key_id }) => key_id)).size, 1)
    assert.ok(sealed.every((one) => keys[0]?.open(one, 'c') === 'x'))
    assert.deepEqual(await readdir(root), [KEY_FILE], 'no draft is left')
  })

  it('say that their key is missing, are not lost, and everything else works', async () => {
    const id = await withSecret('kept')
    const file = join(directory, KEY_FILE)
    await copyFile(file, join(root, 'aside'))
    await rm(file)
    const store = await open()
    await assert.rejects(store.secrets.values(ADA, id), {
      code: 'secrets_unreadable',
      message: /LOCI_ENCRYPTION_KEY/,
    })
    await assert.rejects(store.agents.get(ADA, id, ['agent.secrets']), { code: 'secrets_unreadable' })
    assert.deepEqual(await store.secrets.names(ADA, id), ['TOKEN'])
    assert.equal((await store.agents.get(ADA, id, ['agent.blocks']))?.name, 'ada')
    assert.equal((await store.agents.update(ADA, id, { name: 'eva' }))?.name, 'eva')
    // Another agent's secret makes a new key; the old one stays readable once its key is a line of the file again.
    const other = await store.agents.create(ADA, anAgent('bob', { secrets: { TOKEN: 'new' } }))
    await store.close()
    assert.equal((await secretsFinding())?.status, 'error')
    await writeFile(file, `${await readFile(file, 'utf8')}${await readFile(join(root, 'aside'), 'utf8')}`)
    assert.equal(await valueOf(id), 'kept')
    assert.equal(await valueOf(other.id), 'new')
    assert.equal((await secretsFinding())?.status, 'ok')
  })

  it('can be set anew when their key is gone for good', async () => {
    const id = await withSecret('old')
    await rm(join(directory, KEY_FILE))
    const store = await open()
    const updated = await store.agents.update(ADA, id, { secrets: { TOKEN: 'new' } })
    await store.close()
    assert.deepEqual(
      updated?.secrets?.map(({ value }) => value),
      ['new'],
    )
    assert.equal(await valueOf(id), 'new')
  })

  for (const [what, text] of [
    ['empty', ''],
    ['no key', 'not a key\n'],
    ['too short', `${Buffer.alloc(16).toString('base64')}\n`],
  ] as const)
    it(`report a key file that is ${what}, without touching it`, async () => {
      const id = await withSecret('kept')
      const file = join(directory, KEY_FILE)
      const right = await readFile(file, 'utf8')
      await writeFile(file, text)
      await assert.rejects(valueOf(id), { code: 'secrets_unreadable', message: /cannot be used/ })
      assert.equal(await readFile(file, 'utf8'), text)
      assert.equal((await secretsFinding())?.status, 'error')
      await writeFile(file, right)
      assert.equal(await valueOf(id), 'kept')
    })

  it('are encrypted with LOCI_ENCRYPTION_KEY where it is set, and no key is kept beside them', async () => {
    const id = await withSecret('value', 'a passphrase')
    assert.ok(!(await readdir(directory)).includes(KEY_FILE))
    assert.equal(await valueOf(id, 'a passphrase'), 'value')
    await assert.rejects(valueOf(id, 'another one'), { code: 'secrets_unreadable' })
    await assert.rejects(valueOf(id), { code: 'secrets_unreadable' })
    assert.equal((await secretsFinding())?.status, 'error')
    assert.equal((await secretsFinding('a passphrase'))?.status, 'ok')
  })

  it('stay readable when LOCI_ENCRYPTION_KEY is set later, also to what the key file says', async () => {
    const id = await withSecret('value')
    assert.equal(await valueOf(id, 'set later'), 'value')
    const key = (await readFile(join(directory, KEY_FILE), 'utf8')).trim()
    await rm(join(directory, KEY_FILE))
    assert.equal(await valueOf(id, key), 'value')
  })

  it('stay encrypted in a backup, which needs the key to be read elsewhere', async () => {
    const id = await withSecret('in the backup')
    const file = join(root, 'copy.db')
    await backUp({ directory, file })
    assert.ok(!(await readFile(file)).includes('in the backup'))
    const key = join(directory, KEY_FILE)
    directory = join(root, 'elsewhere')
    await restore({ directory, file })
    await assert.rejects(valueOf(id), { code: 'secrets_unreadable' })
    await copyFile(key, join(directory, KEY_FILE))
    assert.equal(await valueOf(id), 'in the backup')
  })

  it('cannot be read under another agent or name, nor when a bit of them was changed', async () => {
    const box = new SecretBox({ directory: root, passphrase: null })
    const keys = await box.keysToWrite()
    const sealed = keys.seal('value', 'here')
    assert.equal(keys.open(sealed, 'here'), 'value')
    assert.throws(() => keys.open(sealed, 'there'), { code: 'secrets_unreadable' })
    const data = Uint8Array.from(sealed.data)
    data[data.length - 1]! ^= 1
    assert.throws(() => keys.open({ ...sealed, data }, 'here'), { code: 'secrets_unreadable' })
    assert.throws(() => keys.open({ ...sealed, data: new Uint8Array() }, 'here'), {
      code: 'secrets_unreadable',
    })
  })
})

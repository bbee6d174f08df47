import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assertReadable, cleanEnvironment, loci, temporaryFolder } from '../support/cli-process.ts'

interface BlockJson {
  id: string
  label: string
  value: string
  version: number
}

describe('loci blocks', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  const run = (...args: string[]) => loci(args, { env, cwd: folder.path })
  const value = async (block: string) => (await run('blocks', 'show', block)).stdout

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    await run('agents', 'create', 'Ada', '--human', 'Likes tea.')
  })
  afterEach(() => folder.remove())

  it('finds a block by its label, with its agent, and by its id; and says which there are of one label', async () => {
    const { id } = JSON.parse((await run('blocks', 'show', 'human', '--json')).stdout) as BlockJson
    assert.equal(await value('human'), 'Likes tea.')
    assert.equal(await value('Ada/human'), 'Likes tea.')
    assert.equal(await value(id), 'Likes tea.')
    await run('agents', 'create', 'Bob')
    const both = await run('blocks', 'show', 'human')
    assert.equal(both.code, 1)
    assert.match(both.stderr, /Several blocks.*AGENT\/human.*\(of Ada\).*\(of Bob\)/)
    assertReadable(both.stderr)
    for (const [named, message] of [
      ['Ada/humn', /'Ada' has no block 'humn'\. Did you mean 'human'/],
      ['Aba/human', /no agent 'Aba'\. Did you mean 'Ada'/],
      ['persoan', /no block 'persoan'\. Did you mean 'persona'/],
    ] as const)
      assert.match((await run('blocks', 'show', named)).stderr, message)
  })

  it('takes a value from a pipe, an argument and a file, appends, and goes back', async () => {
    await loci(['blocks', 'set', 'Ada/human'], { env, input: 'Likes coffee.\n' })
    assert.equal(await value('Ada/human'), 'Likes coffee.')
    await loci(['blocks', 'set', 'Ada/human', '--append'], { env, input: 'Lives in Oslo.\n' })
    assert.equal(await value('Ada/human'), 'Likes coffee.\nLives in Oslo.')
    await writeFile(join(folder.path, 'notes'), 'From a file.')
    await run('blocks', 'set', 'Ada/human', '@notes')
    assert.equal(await value('Ada/human'), 'From a file.')
    const history = (await run('blocks', 'history', 'Ada/human')).stdout.split('\n')
    assert.match(history[0] ?? '', /^4\t\d{4}-.*\tyou\t- Likes.* \+ From/)
    assert.match(history[3] ?? '', /^1\t.*made: Likes tea\./)
    const restored = await run('blocks', 'restore', 'Ada/human', '1')
    assert.match(restored.stderr, /as it was at version 1/)
    assert.equal(await value('Ada/human'), 'Likes tea.')
  })

  it('refuses a change of a version that is not the newest, and a version that never was', async () => {
    const stale = await run('blocks', 'set', 'Ada/human', 'x', '--if-version', '7')
    assert.equal(stale.code, 1)
    assertReadable(stale.stderr)
    assert.equal((await run('blocks', 'restore', 'Ada/human', '9')).code, 1)
    assert.match((await run('blocks', 'restore', 'Ada/human', 'first')).stderr, /whole number/)
    assert.equal(await value('Ada/human'), 'Likes tea.')
  })

  it('deletes with --yes alone, and detaches without deleting', async () => {
    const { stdout } = await run('blocks', 'create', 'rules', '--agent', 'Ada', '--value', 'Be kind.')
    const id = stdout.trim()
    await run('blocks', 'detach', 'rules', 'Ada')
    assert.match((await run('blocks', 'list', 'Ada')).stdout, /^human\t.*\npersona\t.*\n$/)
    assert.equal(await value(id), 'Be kind.')
    assert.match((await run('blocks', 'delete', 'rules')).stderr, /Delete rules .*--yes/)
    assert.equal((await run('blocks', 'delete', 'rules', '--yes')).code, 0)
    assert.match((await run('blocks', 'show', id)).stderr, /not found/)
  })

  describe('in an editor', () => {
    /** A shell as editor: what it runs has the file as $1. */
    const edit = (script: string, block = 'Ada/human') =>
      loci(['blocks', 'edit', block], {
        env: { ...env, EDITOR: `sh -c '${script}' editor`, VISUAL: '', TMPDIR: folder.path },
        cwd: folder.path,
      })
    const self = `${process.execPath} ${join(process.cwd(), 'dist/loci.js')}`

    before(function () {
      if (process.platform === 'win32') this.skip()
    })

    it('saves what was written, and nothing that was not changed', async () => {
      const saved = await edit('echo "Likes juice." > "$1"')
      assert.match(saved.stderr, /Saved human: 12 characters, version 2/)
      assert.equal(await value('Ada/human'), 'Likes juice.')
      // Editors end files with a newline.
      assert.match((await edit('echo >> "$1"')).stderr, /human is as it was/)
      assert.equal((await edit('true')).code, 0)
    })

    it('keeps the text in a file when somebody else has written meanwhile, and loses neither', async () => {
      const conflict = await edit(`${self} blocks set Ada/human theirs; echo mine > "$1"`)
      assert.equal(conflict.code, 1)
      assert.match(conflict.stderr, /-Likes tea\.[^]*\+theirs[^]*was changed meanwhile/)
      assert.equal(await value('Ada/human'), 'theirs')
      const kept = /kept in (.*)/.exec(conflict.stderr)?.[1] ?? ''
      assert.equal(await readFile(kept, 'utf8'), 'mine\n')
    })

    it('saves nothing when the editor fails or is not there', async () => {
      const failed = await edit('echo lost > "$1"; exit 3')
      assert.match(failed.stderr, /ended with 3: nothing was saved/)
      assert.match(failed.stderr, /kept in/)
      const none = await loci(['blocks', 'edit', 'Ada/human'], {
        env: { ...env, EDITOR: 'no-such-editor', TMPDIR: folder.path },
      })
      assert.equal(none.code, 1)
      assert.match(none.stderr, /'no-such-editor' ended with 127/)
      assert.equal(await value('Ada/human'), 'Likes tea.')
    })
  })
})

import assert from 'node:assert/strict'
import {
  assertReadable,
  cleanEnvironment,
  loci,
  LOCI,
  start,
  temporaryFolder,
} from '../support/cli-process.ts'

describe('loci users and loci keys', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  const run = (...args: string[]) => loci(args, { env, cwd: folder.path })

  beforeEach(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
  })
  afterEach(() => folder.remove())

  it('make a user and a key that a running server takes at once, and refuses once it is revoked', async () => {
    const args = [LOCI, 'server', '--port', '0', '--auth']
    const server = start(process.execPath, args, { ...env, LOCI_API_KEY: 'own' }, { cwd: folder.path })
    try {
      const [url] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
      const ask = (key: string) =>
        fetch(`${url}/v1/agents/`, { headers: { authorization: `Bearer ${key}` } }).then((r) => r.status)
      assert.match((await run('users', 'list')).stderr, /Nobody but you/)
      const added = await run('users', 'add', 'ada', '--agents', '3', '--requests-per-hour', 'none')
      assert.equal(added.code, 0, added.stderr)
      assert.match(added.stdout, /^ada\tadmin\torg-\S+\tuser-\S+\n$/)
      const made = await run('keys', 'create', 'ada', '--name', 'laptop', '--days', '7')
      assert.match(made.stdout, /^loci_[\w-]{43}\n$/, made.stderr)
      const key = made.stdout.trim()
      assert.deepEqual(await Promise.all([ask(key), ask('own'), ask('loci_x')]), [200, 200, 401])
      const rea = await run('users', 'add', 'rea', '--organization', 'ada', '--role', 'reader', '--json')
      assert.equal((JSON.parse(rea.stdout) as { role: string }).role, 'reader')
      assert.match(
        (await run('users', 'list')).stdout,
        /^default\tadmin\tdefault\t.*\nada\tadmin\tada\t.*\nrea\treader\tada\t/,
      )
      const [listed] = (await run('keys', 'list', 'ada')).stdout.split('\n')
      assert.match(listed ?? '', /^loci_.{6}…\tlaptop\tused \S+\tapi_key-\S+\tuntil \S+$/)
      const [id = ''] = /api_key-\S+/.exec(listed ?? '') ?? []
      const next = (await run('keys', 'rotate', id)).stdout.trim()
      assert.deepEqual(await Promise.all([ask(key), ask(next)]), [401, 200])
      assert.match((await run('users', 'remove', 'ada')).stderr, /Delete the user ada .*--yes/)
      assert.equal((await run('users', 'remove', 'ada', '--yes')).code, 0)
      assert.equal(await ask(next), 401)
    } finally {
      await server.stop()
    }
  })

  it('tell users of one name apart by their ids, and refuse a second of the same', async () => {
    const add = async (...args: string[]) => await run('users', 'add', ...args)
    const idIn = (text: string) => /user-[\w-]+/.exec(text)?.[0] ?? 'none'
    const first = await add('ada')
    assert.match(first.stderr, /loci keys create ada\n/)
    const again = await add('ada')
    assert.equal(again.code, 1)
    assert.match(again.stderr, /an organisation 'ada' is there already \(org-.*--organization org-/)
    const second = await add('ada', '--organization', 'team')
    assert.equal(second.code, 0, second.stderr)
    assert.match(second.stderr, new RegExp(`loci keys create ${idIn(second.stdout)}\n`))
    const ambiguous = await run('keys', 'create', 'ada')
    assert.equal(ambiguous.code, 1)
    assert.match(
      ambiguous.stderr,
      new RegExp(`2 users.*${idIn(first.stdout)} \\(of org-.*${idIn(second.stdout)}`),
    )
    assert.match((await run('keys', 'create', idIn(second.stdout))).stdout, /^loci_/)
    const spaced = await add('Ada L', '--organization', 'team')
    assert.match(spaced.stderr, new RegExp(`loci keys create ${idIn(spaced.stdout)}\n`))
    const broken = await add('bad\nname')
    assert.equal(broken.code, 1)
    assert.match(broken.stderr, /line breaks/)
  })

  it('say what is wrong and what to do', async () => {
    for (const [args, expected] of [
      [['keys', 'create', 'nobody'], /There is no user 'nobody'. There is: 'default'/],
      [['users', 'remove', 'defualt', '--yes'], /There is no user 'defualt'. Did you mean 'default'/],
      [['keys', 'create', 'default'], /server's own key/],
      [['keys', 'revoke', 'x'], /no id of a key/],
      [['users', 'add', 'x', '--role', 'king'], /no role 'king'.*admin, member, reader/],
      [['users', 'add', 'x', '--agents', '-1'], /whole number/],
      [['users', 'add', '  '], /name/],
    ] as const) {
      const { code, stderr } = await run(...args)
      assert.equal(code, 1, args.join(' '))
      assert.match(stderr, expected)
      assertReadable(stderr)
    }
  })
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanEnvironment, loci, LOCI, run, temporaryFolder } from '../support/cli-process.ts'

const SHELLS = ['bash', 'zsh', 'fish', 'powershell']
const has = (command: string) => spawnSync(command, ['--version']).status === 0

describe('loci completion', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  const complete = async (current: string, ...before: string[]) => {
    const { stdout, stderr, code } = await loci(['__complete', 'fish', `+${current}`, ...before], { env })
    assert.deepEqual([code, stderr], [0, ''])
    return stdout.split('\n').flatMap((line) => line.split('\t')[0] || [])
  }

  before(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    for (const name of ['Ada', 'My Agent']) await loci(['agents', 'create', name], { env })
    // The command as shells find it.
    const bin = join(folder.path, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'loci'), `#!/bin/sh\nexec "${process.execPath}" "${LOCI}" "$@"\n`, {
      mode: 0o755,
    })
    env['PATH'] = `${bin}:${env['PATH']}`
  })
  after(() => folder.remove())

  it('prints a script for each shell, and names near ones', async () => {
    for (const shell of SHELLS) {
      const { code, stdout } = await loci(['completion', shell], { env })
      assert.equal(code, 0)
      assert.match(stdout, new RegExp(`loci __complete ${shell}`))
    }
    assert.equal((await loci(['completion', 'pwsh'], { env })).code, 0)
    assert.match((await loci(['completion', 'zhs'], { env })).stderr, /Did you mean 'zsh'/)
  })

  it('offers commands, options, values of options, and files', async () => {
    assert.ok((await complete('')).includes('agents'))
    assert.deepEqual(await complete('back'), ['backup'])
    assert.deepEqual(await complete('s', 'agents'), ['show'])
    assert.deepEqual(await complete('--cre', 'chat', 'Ada'), ['--create'])
    assert.deepEqual(await complete('', 'chat', '--approve', 'yes', '--conversation'), ['new', 'default'])
    assert.deepEqual(await complete('p', 'completion'), ['powershell'])
    assert.deepEqual(await complete('', 'import'), [':files'])
    assert.deepEqual(await complete('', 'agents', 'list', '--data'), [':files'])
    assert.deepEqual(await complete('', 'nonsense', 'x'), [])
  })

  it('offers agents, blocks, tools and models as they are now', async () => {
    assert.deepEqual(await complete('', 'chat'), ['My Agent', 'Ada'])
    assert.deepEqual(await complete('A', 'agents', 'delete', 'My Agent'), ['Ada'])
    assert.deepEqual(await complete('Ada/', 'blocks', 'edit'), ['Ada/human', 'Ada/persona'])
    assert.deepEqual(await complete('conversation_', 'agents', 'attach', 'Ada', '--tool'), [
      'conversation_search',
    ])
    assert.ok((await complete('loci/', 'agents', 'create', '--model')).includes('loci/demo'))
  })

  it('says nothing of what fails, and makes no data directory', async () => {
    const empty = join(folder.path, 'nothing-here')
    assert.deepEqual(await complete('', 'chat', '--data', empty), [])
    assert.ok(!(await readdir(folder.path)).includes('nothing-here'))
    assert.deepEqual(await complete('', 'chat', '--url', 'http://127.0.0.1:1'), [])
  })

  it('works in bash, with names that have spaces', async function () {
    if (!has('bash')) this.skip()
    const script = `source <(loci completion bash)
      try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _loci; printf '<%s>' "\${COMPREPLY[@]}"; echo; }
      try loci chat M; try loci chat 'My\\ A'; try loci agents ren; try loci agents list --ta`
    const { stdout, stderr } = await run('bash', ['-c', script], { env })
    assert.equal(stdout, '<My\\ Agent>\n<My\\ Agent>\n<rename>\n<--tag>\n', stderr)
  })

  it('works in zsh', async function () {
    if (!has('zsh')) this.skip()
    const script = `compdef() { : }; source <(loci completion zsh)
      _describe() { print -l -- "\${(P@)2}" }; _files() { print files }
      words=(loci chat 'My\\ A'); CURRENT=3; _loci; words=(loci agents ren); _loci; words=(loci import ''); _loci`
    const { stdout, stderr } = await run('zsh', ['-fc', script], { env })
    assert.match(stdout, /^My Agent:loci\/demo\nrename:give an agent another name\nfiles\n$/, stderr)
  })

  it('works in fish', async function () {
    if (!has('fish')) this.skip()
    const script = `loci completion fish | source; complete -C 'loci chat M'; complete -C 'loci agents ren'`
    const { stdout, stderr } = await run('fish', ['--no-config', '-c', script], { env })
    assert.equal(stdout, 'My Agent\tloci/demo\nrename\tgive an agent another name\n', stderr)
  })
})

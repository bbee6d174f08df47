import assert from 'node:assert/strict'
import { join } from 'node:path'
import { cleanEnvironment, loci, temporaryFolder } from '../support/cli-process.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { CTRL_C, HAS_TERMINALS, lociOnTerminal, type OnTerminal } from '../support/terminal.ts'

/* oxlint-disable no-control-regex -- what styles begin with */
const STYLES = /\x1b\[[0-9;]*m/
/* oxlint-enable no-control-regex */
/** What is never broken: it is there to be copied. */
const ONE_WORD = /^\s*\S+$/

describe('loci on a terminal', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  let model: ScriptedModel
  const open: OnTerminal[] = []

  before(function () {
    if (!HAS_TERMINALS) this.skip()
  })
  before(async () => {
    folder = await temporaryFolder()
    model = await startScriptedModel([], {
      models: [
        {
          id: 'a-model-with-a-name-of-some-length',
          context_length: 200_000,
          pricing: { prompt: '0.000003', completion: '0.000015' },
        },
      ],
    })
    env = cleanEnvironment(folder.path, { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: model.url })
    delete env['OLLAMA_BASE_URL']
    delete env['LMSTUDIO_BASE_URL']
    await loci(['config', 'set', 'discover_local', 'false'], { env })
    for (const name of ['Ada', 'An agent with quite a long name, 東京'.replaceAll(',', '')])
      await loci(
        [
          'agents',
          'create',
          name,
          '--description',
          'Helps with many things. '.repeat(5),
          '--model',
          'loci/demo',
        ],
        { env },
      )
  })
  afterEach(async () => {
    for (const terminal of open.splice(0)) await terminal.stop()
  })
  after(async () => {
    await model?.close()
    await folder?.remove()
  })

  function run(args: string[], columns: number, more: Record<string, string> = {}): OnTerminal {
    const terminal = lociOnTerminal(args, { env: { ...env, ...more }, columns, cwd: folder.path })
    open.push(terminal)
    return terminal
  }

  const commands = [
    ['agents', 'list'],
    ['agents', 'show', 'Ada'],
    ['blocks', 'list'],
    ['blocks', 'show', 'Ada/persona'],
    ['blocks', 'history', 'Ada/persona'],
    ['models'],
    ['models', '--embeddings'],
    ['tools', 'list', '--all'],
    ['tools', 'list'],
    ['users', 'list'],
    ['backup'],
    ['doctor'],
    ['--help'],
  ]
  for (const columns of [40, 80])
    for (const args of commands)
      it(`fits 'loci ${args.join(' ')}' into ${columns} columns, without colours where NO_COLOR is set`, async () => {
        const terminal = run(args, columns, { NO_COLOR: '1' })
        assert.equal(await terminal.exited, 0, terminal.text)
        assert.doesNotMatch(terminal.raw, STYLES)
        assert.ok(terminal.text.trim() !== '')
        for (const line of terminal.text.split('\n'))
          assert.ok(line.length <= columns || ONE_WORD.test(line), `${line.length}: ${line}`)
      })

  it('lists with titles on a terminal, where ids are whole', async () => {
    const { stdout } = await loci(['agents', 'list'], { env })
    const ids = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t').at(-1) ?? '')
    for (const columns of [40, 80]) {
      const terminal = run(['agents', 'list'], columns)
      await terminal.exited
      for (const id of ids) assert.ok(terminal.text.includes(id), terminal.text)
    }
    const wide = run(['agents', 'list'], 120)
    await wide.exited
    assert.match(wide.text, /^NAME +MODEL +LAST WORKED +ID\n/)
    assert.match(wide.raw, STYLES)
  })

  it('has colours in a pipe with FORCE_COLOR, and none on a terminal with FORCE_COLOR=0', async () => {
    assert.match(
      (await loci(['--help'], { env: { ...env, FORCE_COLOR: '1', NO_COLOR: '1' } })).stdout,
      STYLES,
    )
    assert.doesNotMatch((await loci(['--help'], { env })).stdout, STYLES)
    for (const more of [{ FORCE_COLOR: '0' }, { TERM: 'dumb' }]) {
      const terminal = run(['agents', 'list'], 80, more)
      await terminal.exited
      assert.doesNotMatch(terminal.raw, STYLES)
    }
  })

  it('asks before it deletes; no, Enter and Ctrl-C change nothing', async () => {
    await loci(['agents', 'create', 'Gone'], { env })
    for (const typed of ['n\r', '\r', CTRL_C]) {
      const terminal = run(['agents', 'delete', 'Gone'], 80)
      await terminal.waitFor(/Delete Gone \(agent-[^]*\[y\/N\] /)
      terminal.type(typed)
      assert.equal(await terminal.exited, 1)
      assert.match(terminal.text, /Nothing was changed/)
    }
    const terminal = run(['agents', 'delete', 'Gone'], 80)
    await terminal.waitFor(/\[y\/N\] /)
    terminal.type('y\r')
    assert.equal(await terminal.exited, 0)
    assert.match((await loci(['agents', 'show', 'Gone'], { env })).stderr, /no agent 'Gone'/)
  })

  it('puts two edits of a block together where they fit, and shows theirs where they do not', async () => {
    const self = `${process.execPath} ${join(process.cwd(), 'dist/loci.js')}`
    const text = (lines: string[]) => lines.join('\n')
    const start = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
    await loci(['blocks', 'set', 'Ada/human', text(start)], { env })
    const editing = (script: string) => ({
      EDITOR: `sh -c '${script}' editor`,
      VISUAL: '',
      TMPDIR: folder.path,
    })
    const theirs = text(start).replace('one', 'ONE')
    await loci(['blocks', 'create', 'theirs', '--value', theirs], { env })
    const both = `${self} blocks show theirs | ${self} blocks set Ada/human; sed -i.bak s/nine/NINE/ "$1"`
    const fits = run(['blocks', 'edit', 'Ada/human'], 80, editing(both))
    await fits.waitFor(/-one\n\+ONE[^]*\[m\]erge/)
    fits.type('m\r')
    assert.equal(await fits.exited, 0, fits.text)
    const merged = (await loci(['blocks', 'show', 'Ada/human'], { env })).stdout
    assert.equal(merged, theirs.replace('nine', 'NINE'))
    const same = `${self} blocks set Ada/human theirs; echo mine > "$1"`
    const quit = run(['blocks', 'edit', 'Ada/human'], 80, editing(same))
    await quit.waitFor(/\[e\]dit yours again, \[o\]verwrite theirs, \[q\]uit\?/)
    quit.type('q\r')
    assert.equal(await quit.exited, 1)
    assert.match(quit.text, /Nothing was saved/)
    assert.equal((await loci(['blocks', 'show', 'Ada/human'], { env })).stdout, 'theirs')
  })

  it('shows how far a backup is, and nothing of it in the end', async () => {
    const terminal = run(['backup'], 80)
    assert.equal(await terminal.exited, 0)
    assert.match(terminal.raw, /(Copying|Verifying).*%/)
    assert.doesNotMatch(terminal.text, /%/)
  })
})

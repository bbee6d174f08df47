/** The Letta Code CLI, without a terminal, against Loci: a turn in which it runs a tool of its own, approved on the way. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cleanEnvironment, start, temporaryFolder } from '../support/cli-process.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { lettaCode } from './letta-code.ts'

const PATCH = '*** Begin Patch\n*** Add File: note.txt\n+the tide is out\n*** End Patch'

describe('Letta Code', () => {
  let model: ScriptedModel
  let t: TestLoci
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let main: string

  before(async function () {
    this.timeout(300_000)
    main = lettaCode()
    folder = await temporaryFolder()
    model = await startScriptedModel([
      {
        expect: ({ tools }) => tools?.some((tool) => tool.function.name === 'ApplyPatch') || names(tools),
        reply: { tool_calls: [{ name: 'ApplyPatch', arguments: { input: PATCH } }] },
      },
      {
        expect: ({ messages }) =>
          messages.at(-1)?.role === 'tool' || 'the return of the tool was expected last',
        reply: { text: 'I wrote the note.' },
      },
    ])
    t = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await t?.close()
    await model?.close()
    await folder?.remove()
  })

  it('completes a turn with a tool on the client and an approval', async function () {
    this.timeout(180_000)
    const work = join(folder.path, 'work')
    await mkdir(work)
    await writeFile(join(work, 'README.md'), '# harbour\n')
    const env = cleanEnvironment(folder.path, {
      LETTA_BASE_URL: t.url,
      LETTA_API_KEY: 'unused',
      LETTA_CODE_TELEM: '0',
      DO_NOT_TRACK: '1',
    })
    const cli = start(
      process.execPath,
      [main, '-p', 'write a note', '--model', 'openai/test-model', '--yolo', '--output-format', 'json'],
      env,
      { cwd: work },
    )
    const { code } = await cli.exited
    assert.equal(code, 0, `${cli.stderr}\n${cli.stdout}`)
    assert.match(cli.stdout, /I wrote the note\./)
    assert.equal(await readFile(join(work, 'note.txt'), 'utf8'), 'the tide is out\n')
    await model.done()
    assert.deepEqual(t.failures, [])
    const [agent] = (await t.letta.agents.list()).items
    assert.equal(agent?.name, 'Letta Code')
    assert.equal(
      (await t.letta.agents.retrieve(agent?.id ?? '', { include: ['agent.pending_approval'] }))
        .pending_approval,
      null,
    )
  })
})

function names(tools: { function: { name: string } }[] | undefined): string {
  return (tools ?? []).map((tool) => tool.function.name).join(', ')
}

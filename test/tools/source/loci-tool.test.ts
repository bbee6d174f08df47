import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import * as z from 'zod'
import { compileTypeScript } from '../../../shared/tools/source/compile.ts'
import { tool, type ToolContext } from '../../../shared/tools/source/tool.ts'

const weather = tool({
  name: 'weather',
  description: 'Tells the weather.',
  input: z.object({ city: z.string().min(1), days: z.number().default(3) }),
  run: ({ city, days }, { agent_id }) => `${city} ${days.toFixed(1)} ${agent_id}`,
})

describe('tool() of loci/tool', () => {
  it('runs in a test as an agent calls it: with defaults, and no agent', async () => {
    assert.equal(await weather.run({ city: 'Oslo' }), 'Oslo 3.0 null')
    assert.equal(await weather.run({ city: 'Oslo', days: 1 }, { agent_id: 'agent-1' }), 'Oslo 1.0 agent-1')
  })

  it('refuses an input that does not fit, naming the place', async () => {
    await assert.rejects(weather.run({ city: '' }), /weather was called with a wrong input: city: Too small/)
    await assert.rejects(weather.run({ city: 1 } as never), TypeError)
  })

  it('does not touch the client before the tool does', async () => {
    let made = 0
    const context: Partial<ToolContext> = {
      get client() {
        made++
        return 'client'
      },
    }
    await weather.run({ city: 'Oslo' }, context)
    assert.equal(made, 0)
    const asks = tool({ ...weather, input: z.object({}), run: (_, { client }) => client })
    assert.equal(await asks.run({}, context), 'client')
    assert.equal(made, 1)
  })

  it('has a signal without a caller', async () => {
    const aborted = tool({ ...weather, input: z.object({}), run: (_, { signal }) => signal.aborted })
    assert.equal(await aborted.run({}), false)
  })

  it('is compiled as an entry that takes the whole input', async () => {
    const { entry, imports } = await compileTypeScript(
      "import { tool, ToolContext } from 'loci/tool'\nimport * as z from 'zod'\nexport default tool({ name: 'x', description: 'X', input: z.object({}), run(input, context: ToolContext) {} })",
    )
    assert.deepEqual(entry, { kind: 'tool', export_name: 'default', parameters: [] })
    assert.deepEqual(imports, ['loci/tool', 'zod'])
  })

  it('is typed for developers: the input of run, and what it gets', async function () {
    this.timeout(60_000)
    const folder = await mkdtemp(join(tmpdir(), 'loci-tool-types-'))
    const root = resolve(import.meta.dirname, '../../..')
    const check = async (source: string) => {
      await writeFile(join(folder, 'tool.ts'), source)
      const paths = {
        'loci/tool': [join(root, 'shared/tools/source/tool.ts')],
        zod: [join(root, 'node_modules/zod/index.d.ts')],
      }
      const compilerOptions = {
        paths,
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        target: 'es2024',
        module: 'nodenext',
        types: ['node'],
        typeRoots: [join(root, 'node_modules/@types')],
      }
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['tool.ts'] }))
      const tsc = join(root, 'node_modules/typescript/bin/tsc')
      return promisify(execFile)(process.execPath, [tsc, '-p', folder]).then(
        () => '',
        (error: { stdout: string }) => error.stdout,
      )
    }
    const source = (body: string, call: string) =>
      `import * as z from 'zod'\nimport { tool } from 'loci/tool'\nconst t = tool({ name: 'x', description: 'X', input: z.object({ city: z.string(), days: z.number().default(3) }), run: async (input, context) => ${body} })\nconst answer: Promise<string> = t.run(${call})\nexport default answer\n`
    try {
      assert.equal(
        await check(source('input.city + input.days.toFixed() + context.agent_id', "{ city: 'Oslo' }")),
        '',
      )
      assert.match(await check(source('input.town', "{ city: 'Oslo' }")), /'town' does not exist/)
      assert.match(await check(source('input.city', '{ town: 1 }')), /'town' does not exist/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

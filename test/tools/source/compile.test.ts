import assert from 'node:assert/strict'
import { isAppError } from '../../../shared/schema/errors.ts'
import { bindArguments } from '../../../shared/tools/source/bindings.ts'
import { compileTypeScript } from '../../../shared/tools/source/compile.ts'

/** Runs compiled code here: it is this test's own. */
async function load(code: string): Promise<Record<string, (...given: unknown[]) => unknown>> {
  return (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as never
}

describe('compiling a TypeScript tool', () => {
  it('takes the types away and leaves every line and column where it was', async () => {
    const source = 'export function add(\n  a: number,\n  b = 2 as number,\n): number {\n  return a + b!\n}\n'
    const { code, entry } = await compileTypeScript(source)
    assert.deepEqual(entry, {
      kind: 'function',
      export_name: 'add',
      parameters: [
        { from: 'argument', name: 'a', required: true },
        { from: 'argument', name: 'b' },
      ],
    })
    assert.equal(
      code.split('\n').findIndex((line) => line.includes('return a + b')),
      4,
    )
    const { add } = await load(code)
    assert.equal(add?.(...bindArguments(entry, { a: 1 }, { agent_id: null, agent_state: null })), 3)
  })

  it('keeps enums, with a source map that leads to their lines', async () => {
    const source = "enum Unit { C = 'celsius' }\nexport const unit = (): string => Unit.C\n"
    const { code, map } = await compileTypeScript(source)
    const { unit } = await load(code)
    assert.equal(unit?.(), 'celsius')
    assert.deepEqual((JSON.parse(map) as { sourcesContent: string[] }).sourcesContent, [source])
  })

  it('leaves out what is imported for its type alone', async () => {
    const source =
      "import { resolve, type ParsedPath, PlatformPath } from 'node:path'\nimport { Nothing } from 'not-there'\n" +
      'export function f(a: Nothing, b: PlatformPath, c: ParsedPath) {\n  return resolve("/") as Nothing\n}\n'
    const { code, imports } = await compileTypeScript(source)
    const { f } = await load(code)
    assert.equal(f?.(), '/')
    assert.deepEqual(imports, ['node:path'])
  })

  it('says what each parameter is filled with', async () => {
    const source =
      'export default async ({ city, days = 1 }: { city: string; days?: number }, agent_state: unknown, context: unknown) => city'
    const { entry } = await compileTypeScript(source)
    assert.deepEqual(entry, {
      kind: 'function',
      export_name: 'default',
      parameters: [
        { from: 'properties', names: ['city', 'days'] },
        { from: 'agent_state' },
        { from: 'context' },
      ],
    })
    const context = { agent_id: 'agent-1', agent_state: { id: 'agent-1' } }
    assert.deepEqual(bindArguments(entry, { city: 'Oslo', other: 1 }, context), [
      { city: 'Oslo' },
      context.agent_state,
      context,
    ])
  })

  it('exports a function that is not, and tells by its name which of several', async () => {
    const alone = await compileTypeScript('function f() {\n  return 1\n}')
    assert.equal((await load(alone.code))['f']?.(), 1)
    const source = 'const a = () => 1\nconst b = () => 2'
    await assert.rejects(compileTypeScript(source), /exports nothing/)
    for (const [name, value] of [
      ['a', 1],
      ['b', 2],
    ] as const) {
      const { code, entry } = await compileTypeScript(source, name)
      assert.equal(entry.export_name, name)
      assert.equal((await load(code))[name]?.(), value)
    }
    const { entry } = await compileTypeScript('export const a = () => 1\nexport const b = () => 2', 'a')
    assert.equal(entry.export_name, 'a')
  })

  it('refuses what is no TypeScript, with its line', async () => {
    await assert.rejects(
      compileTypeScript('export function f() {\n  return = 1\n}'),
      (error) => isAppError(error, 'invalid_argument') && error.data['line'] === 2,
    )
  })
})

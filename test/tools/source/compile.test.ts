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
        { from: 'argument', name: 'a' },
        { from: 'argument', name: 'b' },
      ],
      types: {
        schemas: { a: { type: 'number' }, b: { type: 'number', default: 2 } },
        required: ['a'],
      },
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
      types: {
        schemas: { city: { type: 'string' }, days: { type: 'number', default: 1 } },
        required: ['city'],
      },
    })
    const context = { agent_id: 'agent-1', agent_state: { id: 'agent-1' } }
    assert.deepEqual(bindArguments(entry, { city: 'Oslo', other: 1 }, context), [
      { city: 'Oslo' },
      context.agent_state,
      context,
    ])
  })

  it('fills a context that stands alone, when its type says that it is one', async () => {
    const source =
      "import type { ToolContext } from 'loci/tool'\nexport const f = (context: ToolContext) => 1"
    assert.deepEqual((await compileTypeScript(source)).entry.parameters, [{ from: 'context' }])
  })

  describe('checks arguments against the types of the function', () => {
    const source = `
type Unit = 'c' | 'f'
interface Options { unit?: Unit; days: number }
export function f(city: string, tags: string[] = [], { unit, days }: Options, flag?: boolean, more?: any) {}`
    const nobody = { agent_id: null, agent_state: null }
    const good = { city: 'Oslo', days: 2 }
    const bind = async (given: Record<string, unknown>) =>
      bindArguments((await compileTypeScript(source)).entry, given, nobody)

    for (const [given, expected] of [
      [{}, /the required arguments 'city', 'days' were not given/],
      [{ city: 'Oslo' }, /the required argument 'days' was not given/],
      [{ ...good, city: null }, /'city' must be a string, not null/],
      [{ ...good, city: 7 }, /'city' must be a string, not 7/],
      [{ ...good, days: 'two' }, /'days' must be a number, not "two"/],
      [{ ...good, unit: 'k' }, /'unit' must be one of "c", "f", not "k"/],
      [{ ...good, tags: 'a' }, /'tags' must be an array whose items are of type string, not "a"/],
      [{ ...good, tags: ['a', 1] }, /'tags' must be an array whose items are of type string/],
      [{ ...good, flag: 'yes' }, /'flag' must be a boolean, not "yes"/],
    ] as const)
      it(`refuses ${JSON.stringify(given)}`, () => assert.rejects(bind(given), expected))

    it('takes what fits, what the types leave open, and null for what may be left out', async () => {
      const given = { ...good, tags: null, unit: 'f', flag: null, more: { any: 1 } }
      assert.deepEqual(await bind(given), ['Oslo', undefined, { unit: 'f', days: 2 }, undefined, { any: 1 }])
    })
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

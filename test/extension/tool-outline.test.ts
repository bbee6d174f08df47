import assert from 'node:assert/strict'
import { findTests, findTool } from '../../extension/host/tools/outline.ts'
import {
  fileName,
  isTestName,
  isToolName,
  parseToolSettings,
  settingsChange,
  settingsName,
  testedName,
  testName,
} from '../../shared/client/tool-files.ts'
import { refusedName, scaffold } from '../../shared/client/tool-templates.ts'

const typescript = (source: string) => findTool(source, 'typescript')

describe('the function of a tool, found while it is written', () => {
  it('is the one that is exported, in any of its forms', () => {
    assert.deepEqual(typescript('const a = 1\n\nexport async function weather(city: string) {\n'), {
      name: 'weather',
      line: 2,
      column: 22,
    })
    assert.equal(typescript('export const weather = async (city: string) => city')?.name, 'weather')
    assert.equal(typescript('export default function weather() {}')?.name, 'weather')
    assert.equal(typescript('function helper() {}\nexport function weather() {}')?.line, 1)
  })

  it('is the default export among several, also where that stands below', () => {
    const source = 'export function helper() {}\nfunction weather() {}\nexport default weather\n'
    assert.deepEqual(typescript(source), { name: 'weather', line: 1, column: 9 })
  })

  it('has the name that a tool with a zod schema gives itself', () => {
    const [file] = scaffold('get_weather', 'zod')
    const found = typescript(file?.text ?? '')
    assert.equal(found?.name, 'get_weather')
    assert.match(file?.text.split('\n')[found?.line ?? -1] ?? '', /^export default tool/)
  })

  it('is the last one at the top of a Python file', () => {
    const source =
      'def helper():\n    def inner():\n        pass\n\nasync def weather(city: str) -> str:\n    pass\n'
    assert.deepEqual(findTool(source, 'python'), { name: 'weather', line: 4, column: 10 })
  })

  it('is nothing where there is none yet', () => {
    assert.equal(typescript('// soon'), null)
    assert.equal(findTool('', 'python'), null)
  })

  it('is found in every new tool', () => {
    for (const style of ['function', 'zod', 'python'] as const) {
      const [file, test] = scaffold('greet', style)
      const language = style === 'python' ? 'python' : 'typescript'
      assert.equal(findTool(file?.text ?? '', language)?.name, 'greet', style)
      assert.equal(findTests(test?.text ?? '', language).length, 1, style)
    }
  })
})

describe('the tests of a tool, found without running them', () => {
  it('have the suites that they stand in', () => {
    const source = [
      "describe('greet', () => {",
      "  describe('in German', () => {",
      "    it('says \\'Tag\\'', () => {})",
      '  })',
      '  it.skip("sings", () => {})',
      '})',
      'test(`alone`, () => {})',
      'test(name, () => {})',
    ].join('\n')
    assert.deepEqual(findTests(source, 'typescript'), [
      { name: ['greet', 'in German', "says 'Tag'"], line: 2 },
      { name: ['greet', 'sings'], line: 4 },
      { name: ['alone'], line: 6 },
    ])
  })

  it('are the methods of a class in Python', () => {
    const source =
      'class Greet(TestCase):\n    def setUp(self):\n        pass\n    def test_a(self):\n        pass\n'
    assert.deepEqual(findTests(source, 'python'), [{ name: ['Greet', 'test_a'], line: 3 }])
  })
})

describe('the files of tools', () => {
  it('are told from tests, types and what begins with _', () => {
    assert.deepEqual(
      ['a.ts', 'a.mts', 'a.py', 'a.d.ts', 'a.test.ts', 'test_a.py', '_a.py', 'a.tool.json', 'a.js'].map(
        isToolName,
      ),
      [true, true, true, false, false, false, false, false, false],
    )
    assert.deepEqual(['a.test.mts', 'test_a.py', 'a.ts'].map(isTestName), [true, true, false])
  })

  it('have tests and settings beside them', () => {
    for (const name of ['weather.ts', 'weather.mts', 'weather.py'])
      assert.equal(testedName(testName(name)), name)
    assert.equal(
      settingsName('/my.project/.loci/tools/weather.ts'),
      '/my.project/.loci/tools/weather.tool.json',
    )
    assert.equal(fileName({ name: 'weather', source_type: 'python' }), 'weather.py')
  })

  it('change the settings of the server only in what they say', () => {
    const there = { tags: ['a'], return_char_limit: 50_000, pip_requirements: [{ version: '1', name: 'x' }] }
    assert.equal(settingsChange({}, there), null)
    assert.equal(settingsChange({ pip_requirements: [{ name: 'x', version: '1' }] }, there), null)
    const change = settingsChange({ tags: ['b'], return_char_limit: 50_000 }, there)
    assert.deepEqual(change && [JSON.parse(change.before), JSON.parse(change.after)], [
      { tags: ['a'] },
      { tags: ['b'] },
    ])
  })

  it('name the file of settings that no tool has', () => {
    assert.throws(
      () => parseToolSettings('{"colour": 1}', 'a.tool.json'),
      /a\.tool\.json has 'colour', which no tool/,
    )
    assert.throws(() => parseToolSettings('{', 'a.tool.json'), /a\.tool\.json is not valid JSON/)
  })

  it('have names that are a function and a file', () => {
    assert.equal(refusedName('get_weather'), null)
    for (const name of ['get weather', '', '2day', 'a-b', 'a'.repeat(49)])
      assert.match(refusedName(name) ?? '', /cannot be the name of a tool/)
  })
})

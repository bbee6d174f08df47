import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createToolSources } from '../../../shared/tools/source/sources.ts'

describe('the tools of docs/tools.md', () => {
  it('are read without a remark, all with the same arguments', async () => {
    const text = await readFile(new URL('../../../docs/tools.md', import.meta.url), 'utf8')
    const examples = [...text.matchAll(/^```(ts|python)\n(.*?)^```/gms)].filter(([code]) =>
      code.includes('Tells the weather'),
    )
    assert.equal(examples.length, 3)
    for (const [, language, source_code = ''] of examples) {
      const source_type = language === 'ts' ? 'typescript' : 'python'
      const { tool, problems } = await createToolSources().check({ source_type, source_code })
      assert.deepEqual(problems, [], source_code)
      assert.equal(tool?.name, 'weather')
      const { days } = tool.json_schema.parameters.properties
      assert.equal((days as { default: unknown }).default, 3)
      assert.equal((days as { description: unknown }).description, 'How many days.')
    }
  })

  it('ask for what its list of directives asks for', async () => {
    const text = await readFile(new URL('../../../docs/tools.md', import.meta.url), 'utf8')
    const [, lines = ''] = /^```ts\n(\/\/ loci:.*?)^```/ms.exec(text) ?? []
    const { permissions, npm_requirements } = await createToolSources().derive({
      source_type: 'typescript',
      source_code: `${lines}\nexport function f() {}`,
    })
    assert.deepEqual(permissions, {
      network: true,
      read: ['~/notes'],
      write: ['~/notes/out'],
      timeout_ms: 30_000,
      memory_mb: 1024,
      keep_state: true,
    })
    assert.deepEqual(npm_requirements, [{ name: 'lodash', version: '4.17.21' }])
  })
})

import assert from 'node:assert/strict'
import { refusedName, scaffold } from '../../shared/client/tool-templates.ts'
import { BUILTIN_TOOL_NAMES } from '../../shared/schema/tool-name.ts'
import { createToolSources } from '../../shared/tools/source/sources.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'

describe('the name of a new tool', () => {
  let t: TestLoci
  before(async () => {
    t = await startLoci({})
  })
  after(() => t.close())

  it('is none of the built-in tools, which are known without a server', async () => {
    const names: string[] = []
    for await (const { name } of t.letta.tools.list({ return_only_letta_tools: true, limit: 100 }))
      names.push(name ?? '')
    assert.deepEqual(names.toSorted(), [...BUILTIN_TOOL_NAMES].toSorted())
    for (const name of names) assert.match(refusedName(name) ?? '', /the name of a built-in tool/)
  })

  it('has no meaning of its own in either language, and makes a file that is read as a tool', () => {
    for (const name of ['class', 'await', 'eval', 'lambda', 'None', 'tool', 'unittest'])
      assert.match(refusedName(name) ?? '', /a meaning of its own/)
    for (const name of ['_helper', 'test_me'])
      assert.match(refusedName(name) ?? '', /begin with _ or test_ are none/)
  })

  it('makes tools that can be read, such as those that begin like a word of the language', async () => {
    const sources = createToolSources()
    for (const name of ['classify', 'memory_show', 'constructor', 'tests']) {
      assert.equal(refusedName(name), null)
      for (const style of ['function', 'zod'] as const) {
        const source_code = scaffold(name, style)[0]?.text ?? ''
        assert.equal((await sources.derive({ source_type: 'typescript', source_code })).name, name)
      }
    }
  })
})

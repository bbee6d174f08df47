/** The official client of OpenAI for Python against agents; that for TypeScript is tested in test/server. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { cleanEnvironment, start, temporaryFolder } from '../support/cli-process.ts'
import { SCRIPTED } from '../support/loci.ts'
import { withLoci } from '../support/scripted-loci.ts'
import type { TestLoci } from '../support/loci.ts'
import { pythonOf } from './python-client.ts'

describe('openai of Python', function () {
  this.timeout(300_000)
  let t: TestLoci
  withLoci((started) => ({ t } = started), {
    models: [{ id: 'test-model', context_length: 128_000 }],
    loop: ({ messages }) => {
      const content = messages.findLast(({ role }) => role === 'user')?.content
      return { text: ['You said: ', Array.isArray(content) ? content[0].text : String(content)] }
    },
  })

  it('speaks to an agent as to a model', async () => {
    const python = pythonOf('python-openai-3.54.0', 'openai==3.54.0')
    await t.letta.agents.create({ name: 'sam', model: SCRIPTED })
    const folder = await temporaryFolder()
    try {
      const path = join(import.meta.dirname, 'python', 'openai_chat.py')
      const program = start(python, ['-B', path, `${t.url}/openai/v1`, 'sam'], cleanEnvironment(folder.path))
      const { code } = await program.exited
      assert.equal(code, 0, `${program.stderr}\n${program.stdout}`)
      assert.equal(program.stdout.match(/^ok: /gm)?.length, 7)
    } finally {
      await folder.remove()
    }
  })
})

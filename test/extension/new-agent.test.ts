import assert from 'node:assert/strict'
import { checkAgentName, freeName, humanBlock, personaBlock } from '../../extension/host/new-agent.ts'
import { createAgent } from '../../shared/schema/agent.ts'

describe('a new agent', () => {
  it('gets a name that no other has', () => {
    assert.equal(freeName([]), 'Scout')
    assert.equal(freeName(['Scout', 'Scout 2', 'Ada']), 'Scout 3')
  })

  it('takes exactly the names that the server takes', () => {
    for (const name of ['Scout', "Ada's agent_2-b", 'Müller', '助手', 'a/b', 'x\ny', 'dot.', '🙂']) {
      const server = createAgent.safeParse({ name }).success
      assert.equal(checkAgentName(name, []) === null, server, JSON.stringify(name))
    }
  })

  it('refuses an empty and a taken name with a sentence', () => {
    assert.equal(checkAgentName('  ', []), 'An agent needs a name.')
    assert.equal(checkAgentName(' Scout ', ['Scout']), 'There is an agent called Scout already.')
  })

  it('begins with blocks that the server accepts', () => {
    const asked = createAgent.parse({ name: 'Scout', memory_blocks: [humanBlock(), personaBlock('Scout')] })
    assert.deepEqual(
      asked.memory_blocks?.map((block) => block.label),
      ['human', 'persona'],
    )
  })
})

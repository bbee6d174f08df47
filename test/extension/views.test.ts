import assert from 'node:assert/strict'
import type { AgentInfo, BlockInfo, Library, ToolInfo } from '../../extension/host/library.ts'
import { agentEntries } from '../../extension/host/views/agents-view.ts'
import { blockEntries } from '../../extension/host/views/blocks-view.ts'
import { firstWords, listNames } from '../../extension/host/views/entry.ts'
import { toolEntries } from '../../extension/host/views/tools-view.ts'

type Contents = Pick<Library, 'agents' | 'blocks' | 'tools'>

function contents(agents: AgentInfo[], blocks: BlockInfo[], tools: ToolInfo[]): Library {
  const byId = <T extends { id: string }>(items: T[]) => new Map(items.map((item) => [item.id, item]))
  const held: Contents = { agents: byId(agents), blocks: byId(blocks), tools: byId(tools) }
  return held as Library
}
const agent = (id: string, name: string, block_ids: string[] = [], tool_ids: string[] = []): AgentInfo => ({
  id,
  name,
  model: 'loci/demo',
  description: null,
  block_ids,
  tool_ids,
})
const block = (id: string, label: string, value = ''): BlockInfo => ({
  id,
  label,
  value,
  limit: 100,
  description: null,
  read_only: false,
})
const tool = (id: string, name: string, tool_type = 'letta_core'): ToolInfo => ({
  id,
  name,
  tool_type,
  description: 'Searches what was said. More words.',
})

const library = contents(
  [agent('a2', 'scout 10', ['b1', 'b2'], ['t2', 't1']), agent('a1', 'Scout 9', ['b1', 'gone'])],
  [block('b1', 'team', 'We ship on Fridays.'), block('b2', 'human'), block('b3', 'human', 'Name: Ada')],
  [tool('t1', 'archive'), tool('t2', 'search', 'custom')],
)

describe('the Agents view', () => {
  it('sorts agents as people do and opens each to its blocks and tools', () => {
    const entries = agentEntries(library)
    assert.deepEqual(
      entries.map((entry) => [entry.label, entry.description, entry.kind]),
      [
        ['Scout 9', 'loci/demo', 'agent'],
        ['scout 10', 'loci/demo', 'agent'],
      ],
    )
    assert.deepEqual(
      entries[1]?.children?.().map((entry) => [entry.label, entry.kind, entry.id]),
      [
        ['team', 'block', 'a2/b1'],
        ['human', 'block', 'a2/b2'],
        ['archive', 'tool', 'a2/t1'],
        ['search', 'tool', 'a2/t2'],
      ],
    )
  })

  it('leaves out a block that is deleted but still named by its agent', () => {
    assert.deepEqual(
      agentEntries(library)[0]
        ?.children?.()
        .map((entry) => entry.label),
      ['team'],
    )
  })

  it('says aloud what each row is', () => {
    assert.equal(agentEntries(library)[1]?.spoken, 'Agent scout 10, model loci/demo, 2 blocks, 2 tools')
  })
})

describe('the Blocks view', () => {
  it('shows whose each block is and how it begins', () => {
    assert.deepEqual(
      blockEntries(library).map((entry) => [entry.label, entry.description]),
      [
        ['human', 'not attached · Name: Ada'],
        ['human', 'scout 10 · (empty)'],
        ['team', 'scout 10, Scout 9 · We ship on Fridays.'],
      ],
    )
  })

  it('opens a block to the agents that share it, each under an id of its own', () => {
    const shared = blockEntries(library)[2]
    assert.deepEqual(
      shared?.children?.().map((entry) => [entry.id, entry.chat_agent_id, entry.children]),
      [
        ['b1/a2', 'a2', undefined],
        ['b1/a1', 'a1', undefined],
      ],
    )
    assert.deepEqual(shared?.tooltip.lines, ['Shared by scout 10, Scout 9', '19 of 100 characters'])
  })
})

describe('the Tools view', () => {
  it('shows what each tool does and where it comes from', () => {
    assert.deepEqual(
      toolEntries(library).map((entry) => [entry.label, entry.description, entry.icon, entry.spoken]),
      [
        ['archive', 'Searches what was said. More words.', 'tools', 'Tool archive, built-in'],
        ['search', 'Searches what was said. More words.', 'symbol-method', 'Tool search, custom tool'],
      ],
    )
  })
})

describe('words for a row', () => {
  it('are the first ones, on one line, cut at a word', () => {
    assert.equal(
      firstWords('Name:\n  Ada\nLives in: London \n\nLikes: tea.\nIs a  vet\n'),
      'Name: Ada, Lives in: London, Likes: tea. Is a vet',
    )
    assert.equal(firstWords('one two three four', 12), 'one two…')
    assert.equal(firstWords('x'.repeat(30), 12), `${'x'.repeat(12)}…`)
  })

  it('name a few agents and count the rest', () => {
    assert.equal(listNames(['A', 'B', 'C']), 'A, B, C')
    assert.equal(listNames(['A', 'B', 'C', 'D']), 'A, B and 2 more')
  })
})

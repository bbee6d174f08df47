import assert from 'node:assert/strict'
import type { AgentInfo, BlockInfo, Library, ToolInfo } from '../../extension/host/library.ts'
import { agentEntries } from '../../extension/host/views/agents-view.ts'
import { blockEntries } from '../../extension/host/views/blocks-view.ts'
import { activityOf } from '../../extension/host/activity.ts'
import { draggedOf, parseDragged } from '../../extension/host/views/dragged.ts'
import { filtered, firstWords, listNames, type Entry } from '../../extension/host/views/entry.ts'
import { toolEntries } from '../../extension/host/views/tools-view.ts'

type Contents = Pick<Library, 'agents' | 'blocks' | 'tools' | 'mcp_servers' | 'activity' | 'details'>

function contents(
  agents: AgentInfo[],
  blocks: BlockInfo[],
  tools: ToolInfo[],
  more: Partial<Contents> = {},
): Library {
  const byId = <T extends { id: string }>(items: T[]) => new Map(items.map((item) => [item.id, item]))
  const held: Contents = {
    agents: byId(agents),
    blocks: byId(blocks),
    tools: byId(tools),
    mcp_servers: new Map(),
    activity: new Map(),
    details: () => Promise.resolve({ conversations: [], files: [] }),
    ...more,
  }
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

const children = async (entry: Entry | undefined) => (await entry?.children?.()) ?? []

describe('the Agents view', () => {
  it('sorts agents as people do and opens each to its blocks, tools, conversations and files', async () => {
    const entries = agentEntries(library)
    assert.deepEqual(
      entries.map((entry) => [entry.label, entry.description, entry.kind]),
      [
        ['Scout 9', 'loci/demo', 'agent'],
        ['scout 10', 'loci/demo', 'agent'],
      ],
    )
    const inside = await children(entries[1])
    assert.deepEqual(
      inside.map((entry) => [entry.label, entry.kind, entry.id]),
      [
        ['team', 'block', 'a2/b1'],
        ['human', 'block', 'a2/b2'],
        ['Tools', 'group', 'a2/tools'],
        ['Conversations', 'group', 'a2/conversations'],
        ['Files', 'group', 'a2/files'],
      ],
    )
    assert.deepEqual(
      (await children(inside[2])).map((entry) => [entry.label, entry.id, entry.agent_id, entry.flags]),
      [
        ['archive', 'a2/t1', 'a2', ['attached']],
        ['search', 'a2/t2', 'a2', ['custom', 'attached']],
      ],
    )
  })

  it('reads conversations and files of an agent only when they are opened', async () => {
    let read = 0
    const details = () => {
      read++
      return Promise.resolve({
        conversations: [
          {
            id: 'c1',
            summary: 'The trip to Rome',
            created_at: null,
            last_message_at: '2026-11-02T08:00:00Z',
          },
        ],
        files: [{ id: 'f1', name: 'notes.md', folder_name: 'work', is_open: true }],
      })
    }
    const inside = await children(agentEntries(contents([agent('a1', 'Scout')], [], [], { details }))[0])
    assert.equal(read, 0)
    const [, conversations, files] = inside
    assert.deepEqual(
      (await children(conversations)).map((entry) => [entry.label, entry.description, entry.spoken]),
      [
        ['Main conversation', '', 'Main conversation of Scout'],
        ['The trip to Rome', '2026-11-02', 'Conversation The trip to Rome, 2026-11-02'],
      ],
    )
    assert.deepEqual(
      (await children(files)).map((entry) => [entry.label, entry.description]),
      [['notes.md', 'work · open']],
    )
  })

  it('shows and says that an agent works, waits for approval, or has failed', () => {
    const activity = new Map([
      ['a1', 'running' as const],
      ['a2', 'approval' as const],
      ['a3', 'error' as const],
    ])
    const agents = ['a1', 'a2', 'a3'].map((id) => agent(id, id))
    assert.deepEqual(
      agentEntries(contents(agents, [], [], { activity })).map((entry) => [
        entry.icon,
        entry.description,
        entry.spoken,
      ]),
      [
        ['loading~spin', 'working · loci/demo', 'Agent a1, working, model loci/demo, 0 blocks, 0 tools'],
        [
          'bell-dot',
          'waiting for approval · loci/demo',
          'Agent a2, waiting for approval, model loci/demo, 0 blocks, 0 tools',
        ],
        [
          'error',
          'last turn failed · loci/demo',
          'Agent a3, last turn failed, model loci/demo, 0 blocks, 0 tools',
        ],
      ],
    )
  })

  it('leaves out a block that is deleted but still named by its agent', async () => {
    const rows = await children(agentEntries(library)[0])
    assert.deepEqual(
      rows.filter((entry) => entry.kind === 'block').map((entry) => entry.label),
      ['team'],
    )
  })

  it('says aloud what each row is', () => {
    assert.equal(agentEntries(library)[1]?.spoken, 'Agent scout 10, model loci/demo, 2 blocks, 2 tools')
  })
})

describe('the Blocks view', () => {
  it('sorts blocks of one label by their agents, as people do', () => {
    const many = ['Agent 10', 'Agent 2', 'Agent 1']
    const blocks = many.map((name) => block(name, 'human'))
    const agents = many.map((name) => agent(`id ${name}`, name, [name]))
    assert.deepEqual(
      blockEntries(contents(agents, blocks, [])).map((entry) => entry.object_id),
      ['Agent 1', 'Agent 2', 'Agent 10'],
    )
  })

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

  it('opens a block to the agents that share it, each under an id of its own', async () => {
    const shared = blockEntries(library)[2]
    assert.deepEqual(
      (await children(shared)).map((entry) => [entry.id, entry.chat_agent_id, entry.children]),
      [
        ['b1/a2', 'a2', undefined],
        ['b1/a1', 'a1', undefined],
      ],
    )
    assert.deepEqual(shared?.tooltip.lines, ['Shared by scout 10, Scout 9', '19 of 100 characters'])
  })
})

describe('the Tools view', () => {
  const mcp = { id: 'mcp-1', name: 'files', place: 'npx server-files', error: 'spawn npx ENOENT' }
  const full = contents(
    [],
    [],
    [
      tool('t1', 'archive'),
      tool('t2', 'search', 'custom'),
      { ...tool('t3', 'read', 'external_mcp'), mcp_server_id: 'mcp-1' },
    ],
    { mcp_servers: new Map([['mcp-1', { ...mcp, state: 'failed' }]]) },
  )

  it('groups tools by where they come from, an MCP server with its health', async () => {
    const entries = toolEntries(full)
    assert.deepEqual(
      entries.map((entry) => [entry.label, entry.description, entry.spoken]),
      [
        ['Custom', '1', 'Custom, 1'],
        ['files', 'failed · 1 tool', 'MCP server files, failed, 1 tool'],
        ['Built-in', '1', 'Built-in, 1'],
      ],
    )
    assert.ok(entries[1]?.tooltip.lines.includes('spawn npx ENOENT'))
    const rows = (await Promise.all(entries.map(children))).flat()
    assert.deepEqual(
      rows.map((entry) => [entry.label, entry.description, entry.icon, entry.spoken]),
      [
        ['search', 'Searches what was said. More words.', 'symbol-method', 'Tool search, custom tool'],
        ['read', 'Searches what was said. More words.', 'plug', 'Tool read, from an MCP server'],
        ['archive', 'Searches what was said. More words.', 'tools', 'Tool archive, built-in'],
      ],
    )
  })

  it('is filtered by what rows say; a group stays with those of its rows that fit', async () => {
    const [group, ...others] = filtered(toolEntries(full), 'SEARCH')
    assert.deepEqual([group?.label, group?.expanded], ['Custom', true])
    assert.equal(others.length, 2, 'the descriptions of the others have the word')
    assert.deepEqual(
      filtered(toolEntries(full), 'archive').map((entry) => entry.label),
      ['Built-in'],
    )
    assert.deepEqual(
      filtered(agentEntries(library), 'scout 9').map((entry) => entry.label),
      ['Scout 9'],
    )
    assert.equal(filtered(toolEntries(full), '').length, 3)
  })
})

describe('what is dragged', () => {
  it('is the blocks and tools among the rows, and survives the way to another view', () => {
    const rows = [...agentEntries(library), ...blockEntries(library)]
    const dragged = draggedOf(rows)
    assert.deepEqual(
      dragged.map(({ kind }) => kind),
      ['block', 'block', 'block'],
    )
    assert.deepEqual(parseDragged(JSON.stringify(dragged)), dragged)
  })

  it('is nothing when it comes from elsewhere', () => {
    for (const text of ['', 'file:///x', '{}', '[null, 5, {"kind":"agent","id":"a"}, {"kind":"tool"}]'])
      assert.deepEqual(parseDragged(text), [], text)
  })
})

describe('what an agent is at', () => {
  it('is what the newest run of each conversation says, the most urgent first', () => {
    const done = { status: 'completed', stop_reason: 'end_turn' }
    const waits = { status: 'completed', stop_reason: 'requires_approval' }
    assert.equal(activityOf([]), null)
    assert.equal(activityOf([done, { status: 'failed' }]), null, 'an older failure is over')
    assert.equal(activityOf([{ status: 'failed', stop_reason: 'llm_api_error' }, done]), 'error')
    assert.equal(activityOf([done, { ...waits, conversation_id: 'c1' }]), 'approval')
    assert.equal(activityOf([waits, { status: 'running', conversation_id: 'c1' }]), 'running')
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

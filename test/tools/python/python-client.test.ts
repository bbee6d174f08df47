import assert from 'node:assert/strict'
import type { Agent } from '../../../shared/schema/agent.ts'
import { startLoci, type TestLoci } from '../../support/loci.ts'
import { type StartedPython, startPython, textOf } from './start-python.ts'

describe('what a Python tool has of its agent', function () {
  this.timeout(60_000)
  let loci: TestLoci
  let python: StartedPython
  let agent_id: string
  before(async function () {
    python = await startPython(this, {
      api: (_, request) => {
        const { pathname, search } = new URL(request.url)
        return fetch(new Request(loci.url + pathname + search, request))
      },
    })
    loci = await startLoci()
    const agent = await loci.letta.agents.create({
      name: 'Ada',
      model: 'loci/demo',
      tags: ['crew', 'blue'],
      memory_blocks: [
        { label: 'human', value: 'Likes ships.' },
        { label: 'notes', value: 'none' },
      ],
    })
    agent_id = agent.id
  })
  after(async () => {
    await python?.close()
    await loci?.close()
  })

  /** The agent as the core has it, which is what the API answers and less. */
  const stored = async () => {
    const agent = await loci.letta.agents.retrieve(agent_id, {
      include: ['agent.blocks', 'agent.tags', 'agent.tools'],
    })
    return agent as unknown as Agent
  }

  describe('agent_state', () => {
    it('is the agent, as V1 shows it', async () => {
      const source = `
def look(agent_state: "AgentState", agent_id: str):
    memory = agent_state.memory
    return {
        "name": agent_state.name, "same": agent_state.id == agent_id, "tags": sorted(agent_state.tags),
        "labels": memory.list_block_labels(), "human": memory.get_block("human").value,
        "type": agent_state.agent_type, "window": agent_state.llm_config.context_window > 0,
        "tools": "conversation_search" in [tool.name for tool in agent_state.tools],
    }
`
      const text = await python.text(source, { agent: await stored(), args: { agent_id: 'guessed' } })
      assert.deepEqual(JSON.parse(text), {
        name: 'Ada',
        same: true,
        tags: ['blue', 'crew'],
        labels: ['human', 'notes'],
        human: 'Likes ships.',
        type: 'letta_v1_agent',
        window: true,
        tools: true,
      })
    })

    it('takes edits of memory, which come back when the call succeeds', async () => {
      const source = `
def edit(agent_state, fail: bool = False):
    agent_state.memory.update_block_value(label="notes", value="written")
    agent_state.memory.get_block("human").value += " And trains."
    if fail:
        raise ValueError("no")
`
      const agent = await stored()
      const { memory_edits } = await python.run(source, { agent })
      assert.deepEqual(memory_edits, { notes: 'written', human: 'Likes ships. And trains.' })
      const failed = await python.run(source, { agent, args: { fail: true } })
      assert.deepEqual([failed.status, failed.memory_edits], ['error', {}])
    })

    it('says which blocks there are, and what a value is', async () => {
      const source =
        'def edit(agent_state, label: str, value):\n    agent_state.memory.update_block_value(label, value)'
      const agent = await stored()
      assert.match(
        await python.failure(source, { agent, args: { label: 'none', value: 'x' } }),
        /KeyError: "there is no block 'none'; the blocks are: human, notes"/,
      )
      assert.match(
        await python.failure(source, { agent, args: { label: 'notes', value: 5 } }),
        /ValueError: the value of a block is a text, not int/,
      )
    })
  })

  describe('client', () => {
    const use = async (body: string) => {
      const lines = body.split('\n').map((line) => `    ${line}`)
      const result = await python.run(`def use(agent_id: str):\n${lines.join('\n')}`, {
        agent: await stored(),
      })
      assert.equal(result.status, 'success', JSON.stringify(result))
      return textOf(result)
    }

    it('reads and edits blocks', async () => {
      assert.equal(
        await use('return client.agents.blocks.retrieve("notes", agent_id=agent_id).value'),
        'none',
      )
      await use('client.agents.blocks.update("notes", agent_id=agent_id, value="of the client")')
      const block = await loci.letta.agents.blocks.retrieve('notes', { agent_id })
      assert.equal(block.value, 'of the client')
      assert.equal(
        await use('return sorted(block.label for block in client.agents.blocks.list(agent_id=agent_id))'),
        '["human", "notes"]',
      )
    })

    it('makes blocks and attaches them', async () => {
      await use(
        'block = client.blocks.create(label="fresh", value="1", description="new")\nclient.agents.blocks.attach(block_id=block.id, agent_id=agent_id)',
      )
      const block = await loci.letta.agents.blocks.retrieve('fresh', { agent_id })
      assert.deepEqual([block.value, block.description], ['1', 'new'])
      assert.equal(await use('return [b.value for b in client.blocks.list(label="fresh").items]'), '["1"]')
    })

    it('writes and searches archival memory', async () => {
      await use('client.agents.passages.create(agent_id, text="The harbour is deep.", tags=["sea"])')
      assert.equal(
        await use(
          'return [p.content for p in client.agents.passages.search(agent_id, query="harbour").results]',
        ),
        '["The harbour is deep."]',
      )
      assert.equal(await use('return client.agents.passages.list(agent_id)[0].tags'), '["sea"]')
    })

    it('sends messages to agents', async () => {
      const other = await loci.letta.agents.create({ name: 'Bob', model: 'loci/demo' })
      const text = await use(
        `answer = client.agents.messages.create("${other.id}", messages=[{"role": "user", "content": "Hello"}])\nreturn [m.message_type for m in answer.messages]`,
      )
      assert.ok((JSON.parse(text) as string[]).includes('assistant_message'), text)
    })

    it('is used by several threads', async () => {
      const text = await use(
        'from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool:\n    return list(pool.map(lambda _: client.agents.retrieve(agent_id).name, range(12)))',
      )
      assert.deepEqual(
        JSON.parse(text),
        Array.from({ length: 12 }, () => 'Ada'),
      )
    })

    it('says what went wrong', async () => {
      const failing = async (body: string) =>
        python.failure(`def use(agent_id: str):\n    ${body}`, { agent: await stored() })
      assert.match(
        await failing('return client.agents.blocks.retrieve("none", agent_id=agent_id)'),
        /ApiError: Error code: 404 - .*none/,
      )
      assert.match(await failing('return client.agents.blocks.retrieve("x")'), /TypeError: .* needs agent_id/)
      assert.match(
        await failing('return client.jobs.list()'),
        /AttributeError: client\.jobs is not there: add letta-client/,
      )
      assert.match(
        await failing('return client.agents.update(agent_id, secrets={"A": "b"})'),
        /ApiError: Error code: 403 - The client inside a tool may not set 'secrets' of an agent/,
      )
    })

    it('may be a name of the tool itself', async () => {
      assert.equal(await use('client = "mine"\nreturn client'), 'mine')
    })
  })
})

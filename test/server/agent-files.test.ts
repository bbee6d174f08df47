import { toFile } from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

type Raw = Record<string, unknown>
type AgentFile = Record<'agents' | 'groups' | 'blocks' | 'tools' | 'files' | 'sources' | 'skills', Raw[]> &
  Raw & { agents: (Raw & { messages: Raw[] })[] }

/** Real files of V1, beside the checkout: read there, never copied. */
const SAMPLES = join(import.meta.dirname, '..', '..', '..', 'shared', 'letta', 'agent-files')

function sample(test: Mocha.Context, name: string): Raw {
  const path = join(SAMPLES, name)
  if (!existsSync(path)) {
    const why = `${path} is not there: the round trip of this file was not tried`
    assert.ok(!process.env['CI'], why)
    console.log(`      not run: ${why}`)
    test.skip()
  }
  return JSON.parse(readFileSync(path, 'utf8')) as Raw
}

describe('agent files', () => {
  let model: ScriptedModel
  let loci: TestLoci
  beforeEach(async () => {
    model = await startScriptedModel([])
    loci = await startLoci({ model_url: model.url })
  })
  afterEach(async () => {
    await loci.close()
    await model.close()
    assert.deepEqual(loci.failures, [])
  })

  const exported = async (id: string, query = {}) =>
    (await loci.letta.agents.exportFile(id, query)) as unknown as AgentFile
  const importing = async (file: unknown, options: object = { append_copy_suffix: false }) => {
    const text = typeof file === 'string' ? file : JSON.stringify(file)
    const answer = await loci.letta.agents.importFile({
      file: await toFile(Buffer.from(text), 'agent.af'),
      ...options,
    })
    return answer as { agent_ids: string[]; warnings: string[] }
  }
  /** What an import is refused with, after nothing of it is left. */
  const refusal = async (file: unknown) => {
    const before = await counts()
    const error = await importing(file).then(
      () => assert.fail('the file was imported'),
      (failure: { status: number; error: { detail: string } }) => failure,
    )
    assert.deepEqual(await counts(), before, 'nothing of the file is left')
    return [
      error.status,
      error.error.detail.replace('INVALID_ARGUMENT: The agent file cannot be imported: ', ''),
    ]
  }
  const counts = async () =>
    Promise.all(
      ['agents', 'blocks', 'tools', 'groups'].map(
        async (noun) => (await loci.http('GET', `/v1/${noun}/count`)).body as number,
      ),
    )
  const talkative = async (more = {}) => {
    const agent = await loci.letta.agents.create({
      name: 'Ada',
      model: SCRIPTED,
      description: 'Remembers.',
      metadata: { team: 'engine' },
      tags: ['b', 'a'],
      memory_blocks: [
        { label: 'persona', value: 'Kind.', read_only: true },
        { label: 'human', value: 'Name: Ada', limit: 500, tags: ['x'] },
      ],
      tool_rules: [{ type: 'run_first', tool_name: 'conversation_search' }],
      compaction_settings: { mode: 'all', clip_chars: 900 },
      timezone: 'Europe/London',
      ...more,
    })
    return agent
  }
  const say = async (agent_id: string, input: string, text: string) => {
    model.add({ reply: { text } })
    await loci.letta.agents.messages.create(agent_id, { input })
  }

  describe('round trips', () => {
    it('an exported agent is imported as it was, with its whole history', async () => {
      const agent = await talkative({ tool_rules: [] })
      for (const [input, reply] of [
        ['Hi', 'Hello!'],
        ['I moved to Paris', 'Noted.'],
      ] as const)
        await say(agent.id, input, reply)
      const file = await exported(agent.id)
      const { agent_ids, warnings } = await importing(file)
      assert.deepEqual([warnings, agent_ids.length], [[], 1])
      const again = await exported(agent_ids[0]!)
      assert.deepEqual({ ...again, created_at: file['created_at'] }, file)
      const [one, other] = await Promise.all(
        [agent.id, agent_ids[0]!].map(async (id) =>
          loci.letta.agents.retrieve(id, { include: ['agent.blocks', 'agent.tools', 'agent.tags'] }),
        ),
      )
      for (const key of [
        'name',
        'system',
        'model_settings',
        'compaction_settings',
        'llm_config',
        'tags',
      ] as const)
        assert.deepEqual(other?.[key], one?.[key], key)
      assert.notEqual(other?.blocks[0]?.id, one?.blocks[0]?.id, 'blocks are always new')
      assert.deepEqual(other?.tools, one?.tools, 'built-in tools are found by their names')
      await say(agent_ids[0]!, 'Where do I live?', 'In Paris.')
      const asked = model.requests.at(-1)?.body as { messages: { content: string }[] }
      assert.match(JSON.stringify(asked.messages), /I moved to Paris/, 'it goes on where it was')
    })

    it('a file of V1 in the present format comes back field by field', async function () {
      const file = sample(this, 'test_basic_agent_with_blocks_tools_messages_v2.af') as AgentFile
      const { agent_ids } = await importing(file)
      const again = await exported(agent_ids[0]!)
      // The list of skills came with a later V1; an empty one says the same as none.
      assert.deepEqual({ ...again, created_at: file['created_at'] }, { ...file, skills: [] })
      const { items: tools } = await loci.letta.agents.tools.list(agent_ids[0]!)
      const custom = tools.find((tool) => tool.name === 'calculate_fibonacci')
      assert.match(custom?.source_code ?? '', /def calculate_fibonacci/)
      const twice = await importing(again)
      const third = await exported(twice.agent_ids[0]!)
      assert.deepEqual({ ...third, created_at: again['created_at'] }, again)
    })
  })
})

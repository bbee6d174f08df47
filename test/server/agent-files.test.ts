import { toFile } from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
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

    it('tool calls, their returns, approvals and summaries come back', async () => {
      const call = (id: string) => ({
        id,
        type: 'function',
        function: { name: 'send_message', arguments: '{"message": "x"}' },
      })
      const file = aFile({
        messages: [
          { id: 'a', role: 'system', content: 'Be kind.' },
          { id: 'b', role: 'summary', content: [{ type: 'text', text: 'Before: nothing.' }] },
          {
            id: 'c',
            role: 'user',
            content: 'Hi',
            otid: 'otid-1',
            sender_id: 'agent-0',
            mystery: { deep: [1] },
          },
          {
            id: 'd',
            role: 'assistant',
            content: [
              { type: 'reasoning', is_native: true, reasoning: 'Hm.' },
              { type: 'new_kind', x: 1 },
            ],
            tool_calls: [call('c1'), call('c2')],
          },
          {
            id: 'e',
            role: 'tool',
            content: [],
            tool_returns: [
              { tool_call_id: 'c1', status: 'success', func_response: 'ok', stdout: ['out'], stderr: null },
              { tool_call_id: 'c2', status: 'error', func_response: [{ type: 'text', text: 'bad' }] },
            ],
          },
          { id: 'f', role: 'approval', content: [], tool_calls: [call('c3')] },
          {
            id: 'g',
            role: 'approval',
            content: [],
            approve: false,
            approval_request_id: 'f',
            denial_reason: 'no',
          },
        ],
        in_context_message_ids: ['a', 'b', 'd', 'e', 'f', 'g'],
      })
      const { agent_ids } = await importing(file)
      const again = await exported(agent_ids[0]!)
      const renamed = new Map('abcdefg'.split('').map((id, i) => [id, `message-${i}`]))
      const [agent] = file.agents
      assert.deepEqual(again.agents[0], {
        ...agent,
        messages: agent!.messages.map((message) => ({
          ...message,
          id: renamed.get(String(message['id'])),
          agent_id: 'agent-0',
          approval_request_id: message['approval_request_id'] ? 'message-5' : null,
        })),
        in_context_message_ids: ['a', 'b', 'd', 'e', 'f', 'g'].map((id) => renamed.get(id)),
      })
      const shown = await loci.http('GET', `/v1/agents/${agent_ids[0]!}/messages?order=asc`)
      const types = (shown.body as { message_type: string }[]).map((message) => message.message_type)
      for (const type of [
        'system_message',
        'user_message',
        'reasoning_message',
        'tool_return_message',
        'approval_request_message',
        'approval_response_message',
      ])
        assert.ok(types.includes(type), `${type} in ${types.join(', ')}`)
      const { message_ids } = await loci.letta.agents.retrieve(agent_ids[0]!)
      assert.equal(message_ids?.length, 6, 'what was out of the context stays out of it')
    })

    it('the companion of an agent comes along, in their group, with the blocks they share', async () => {
      const agent = await talkative({ enable_sleeptime: true })
      const file = await exported(agent.id)
      assert.deepEqual(
        [file.agents.length, file.groups.length, file.agents[0]?.['group_ids']],
        [2, 1, ['group-0']],
      )
      const { agent_ids } = await importing(file)
      assert.equal(agent_ids.length, 2)
      const again = await exported(agent_ids[0]!)
      assert.deepEqual({ ...again, created_at: file['created_at'] }, file)
      const main = await loci.letta.agents.retrieve(agent_ids[0]!, { include: ['agent.managed_group'] })
      assert.deepEqual(main.managed_group?.agent_ids, [agent_ids[1]])
    })

    it('what is changed after the import is exported as it is then', async () => {
      const file = aFile({ description: 'Old.', model: null, oddity: 'kept' })
      const { agent_ids } = await importing(file)
      await loci.letta.agents.update(agent_ids[0]!, { description: 'New.', tags: ['t'] })
      await loci.letta.agents.blocks.update('human', { agent_id: agent_ids[0]!, value: 'Name: Bo' })
      const again = await exported(agent_ids[0]!)
      const [agent] = again.agents
      assert.deepEqual(
        [agent?.['description'], agent?.['tags'], agent?.['oddity'], agent?.['model']],
        ['New.', ['t'], 'kept', null],
      )
      assert.equal(again.blocks[0]?.['value'], 'Name: Bo')
    })

    it('skills, MCP servers and what nobody knows are carried, and the answer says so', async () => {
      const file = {
        ...aFile({}),
        mcp_servers: [
          {
            id: 'mcp_server-0',
            server_type: 'stdio',
            server_name: 'git',
            stdio_config: { command: 'git-mcp', env: { KEY: 'secret' } },
          },
        ],
        skills: [{ name: 'pdf', files: { 'SKILL.md': '# PDF' } }],
        invention: [1],
      }
      const { agent_ids, warnings } = await importing(file)
      for (const word of ["'git'", "'pdf'", 'invention'])
        assert.ok(
          warnings.some((text) => text.includes(word)),
          `${word} in ${warnings.join(' ')}`,
        )
      const again = await exported(agent_ids[0]!)
      assert.deepEqual([again.skills, again['invention']], [file.skills, [1]])
      assert.deepEqual((again['mcp_servers'] as Raw[])[0]?.['stdio_config'], { command: 'git-mcp' })
      const answer = await loci.http('POST', `/v1/agents/${agent_ids[0]!}/export`, {
        skills: [{ name: 'csv', files: { 'SKILL.md': '# CSV' } }],
      })
      assert.deepEqual(
        (answer.body as AgentFile).skills.map((skill) => skill['name']),
        ['pdf', 'csv'],
      )
    })

    it('folders that are here go into the file with the text of their files', async () => {
      const agent = await talkative({ tool_rules: [] })
      const folder = await loci.letta.folders.create({ name: 'papers', description: 'Read.' })
      await loci.letta.folders.files.upload(folder.id, {
        file: await toFile(Buffer.from('one\ntwo'), 'a.txt'),
      })
      await loci.letta.agents.folders.attach(folder.id, { agent_id: agent.id })
      const file = await eventually('the file is read', async () => {
        const found = await exported(agent.id)
        return found.files[0]?.['processing_status'] === 'completed' ? found : null
      })
      assert.deepEqual(
        [
          file.sources.map((source) => source['name']),
          file.files.map((one) => one['content']),
          file.agents[0]?.['source_ids'],
        ],
        [['papers'], ['one\ntwo'], ['source-0']],
      )
      const { agent_ids, warnings } = await importing(file)
      assert.deepEqual(warnings, [])
      const again = await exported(agent_ids[0]!)
      assert.deepEqual({ ...again, created_at: file['created_at'] }, file)
    })
  })

  describe('folders of a file', () => {
    const link = (more: object = {}) => ({
      id: 'file_agent-0',
      agent_id: 'agent-0',
      file_id: 'file-0',
      source_id: 'source-0',
      file_name: 'atlas/birds.txt',
      ...more,
    })
    const atlas = (agent: object, more: object = {}) => ({
      ...aFile({ source_ids: ['source-0'], ...agent }),
      sources: [
        {
          id: 'source-0',
          name: `atlas ${crypto.randomUUID()}`,
          description: 'Of animals.',
          metadata: { shelf: 3 },
          embedding_config: null,
        },
      ],
      files: [
        {
          id: 'file-0',
          source_id: 'source-0',
          file_name: 'atlas/birds.txt',
          original_file_name: 'birds.txt',
          file_type: 'text/plain',
          processing_status: 'completed',
          total_chunks: 7,
          chunks_embedded: 7,
          content: 'Parrots talk.\nOwls do not.\n\n',
        },
      ],
      ...more,
    })
    const said = (file: Raw) => [
      file['sources'],
      file['files'],
      ...['source_ids', 'folder_ids', 'files_agents'].map((key) => (file['agents'] as Raw[])[0]?.[key]),
    ]

    it('become folders that the agent reads, and come back as they were', async () => {
      const file = atlas({
        files_agents: [link({ is_open: true, start_line: 2, end_line: 2, visible_content: '2: Owls' })],
      })
      const { agent_ids, warnings } = await importing(file)
      const id = agent_ids[0]!
      assert.deepEqual(warnings, [])
      const [folder] = await loci.letta.agents.folders.list(id).then(({ items }) => items)
      assert.deepEqual(
        [folder?.name, folder?.description, folder?.metadata],
        [file.sources[0]?.name, 'Of animals.', { shelf: 3 }],
      )
      const { files } = await loci.letta.agents.files.list(id)
      assert.deepEqual(
        [files[0]?.is_open, files[0]?.visible_content],
        [true, '[Viewing lines 2 to 2 (out of 3 lines)]\n2: Owls do not.'],
      )
      await say(id, 'What do owls do?', 'They are silent.')
      const asked = JSON.stringify(model.requests.at(-1)?.body)
      assert.match(asked, /directory name=.*2: Owls do not\./)
      assert.deepEqual(said(await exported(id)), said(file))
      await loci.letta.agents.files.close(files[0]?.file_id ?? '', { agent_id: id })
      await loci.http('PATCH', `/v1/folders/${folder?.id ?? ''}`, { description: 'Of birds.' })
      const changed = await exported(id)
      assert.deepEqual(
        [changed.sources[0]?.['description'], changed.sources[0]?.['metadata']],
        ['Of birds.', { shelf: 3 }],
      )
      const links = changed.agents[0]?.['files_agents'] as Raw[] | undefined
      assert.equal(links?.[0]?.['is_open'], false)
      assert.deepEqual(changed.files, file.files)
    })

    it('of one name twice are numbered, and exported by their own name', async () => {
      const file = atlas({ files_agents: [link()] })
      await importing(file)
      const { agent_ids } = await importing(file)
      const { items } = await loci.letta.agents.folders.list(agent_ids[0]!)
      assert.equal(items[0]?.name, `${file.sources[0]?.name ?? ''} (2)`)
      assert.deepEqual(said(await exported(agent_ids[0]!)), said(file))
    })

    it('that no agent has, files that none names and files without text come back too', async () => {
      const file = atlas({ folder_ids: null, files_agents: [] })
      file.sources.push({ ...file.sources[0]!, id: 'source-1', name: `loose ${crypto.randomUUID()}` })
      const empty = { id: 'file-1', source_id: 'source-0', file_name: '../b.txt', content: null }
      const loose = { id: 'file-2', source_id: 'source-1', file_name: 'c.txt', content: 'c' }
      Object.assign(file, { files: [...file.files, empty, loose] })
      const { agent_ids, warnings } = await importing(file)
      assert.match(warnings.join(' '), /no text of 'atlas [^']*\/b\.txt': agents cannot read it/)
      const again = await exported(agent_ids[0]!)
      assert.deepEqual(said(again), said(file))
      assert.deepEqual(said(await exported((await importing(again)).agent_ids[0]!)), said(file))
    })

    it('of a file that is refused in its middle leave nothing', async () => {
      const name = `atlas ${crypto.randomUUID()}`
      const file = atlas({ tools: ['no_such_tool'] })
      file.sources[0]!.name = name
      await assert.rejects(importing(file), { status: 400 })
      assert.deepEqual((await loci.letta.folders.list({ name })).items, [])
    })

    it('may be long, and come back to the last character', async () => {
      const content = 'A line about parrots, number after number.\n'.repeat(100_000).trimEnd()
      const file = atlas({})
      Object.assign(file.files[0]!, { content })
      const { agent_ids } = await importing(file)
      const again = await exported(agent_ids[0]!)
      assert.equal(again.files[0]?.['content'], content)
    })
  })

  describe('files of the older format', () => {
    /** Fields of the older format that are nowhere in an export, and why. */
    const GONE: Record<string, string> = {
      created_at: 'when its server wrote the thing down; messages keep theirs',
      updated_at: 'when its server changed the thing last',
      version: 'the version of that server',
      multi_agent_group: 'null in every file that V1 wrote of one agent',
    }
    for (const name of ['customer_service.af', 'knowledge-base.af'])
      it(`${name} is imported, and every field of it is in the new export`, async function () {
        const older = sample(this, name)
        const { agent_ids } = await importing(older)
        const file = await exported(agent_ids[0]!)
        const [agent] = file.agents as [Raw & { messages: Raw[] }]
        const missing: string[] = []
        const look = (path: string, from: Raw, to: Raw | undefined, spelt: Record<string, string> = {}) => {
          for (const [key, value] of Object.entries(from)) {
            if (key in GONE && !(path.startsWith('messages') && key === 'created_at')) continue
            try {
              assert.deepEqual(to?.[spelt[key] ?? key], value)
            } catch {
              missing.push(`${path}.${key}`)
            }
          }
        }
        const {
          core_memory,
          tools,
          messages,
          in_context_message_indices,
          tool_exec_environment_variables,
          ...rest
        } = older as Record<string, Raw[]>
        look('agent', rest, agent, { metadata_: 'metadata' })
        for (const [i, block] of core_memory!.entries())
          look(
            `blocks[${i}]`,
            block,
            file.blocks.find((own) => own['label'] === block['label']),
            { metadata_: 'metadata' },
          )
        for (const [i, tool] of tools!.entries())
          look(
            `tools[${i}]`,
            tool,
            file.tools.find((own) => own['name'] === tool['name']),
          )
        for (const [i, message] of messages!.entries()) look(`messages[${i}]`, message, agent.messages[i])
        assert.deepEqual(missing, [])
        assert.deepEqual(
          [file.blocks.length, file.tools.length, agent.messages.length],
          [core_memory!.length, tools!.length, messages!.length],
        )
        assert.deepEqual(
          agent['in_context_message_ids'],
          (in_context_message_indices as unknown as number[]).map((i) => `message-${i}`),
        )
        const variables = tool_exec_environment_variables!.map(({ key }) => [String(key), ''])
        assert.deepEqual(agent['tool_exec_environment_variables'], Object.fromEntries(variables))
        const twice = await importing(file)
        const again = await exported(twice.agent_ids[0]!)
        assert.deepEqual(
          { ...again, created_at: file['created_at'] },
          file,
          'the new file is as good as the older one',
        )
      })
  })

  describe('options', () => {
    it('names, models and projects of the request come first', async () => {
      const copied = await importing(aFile({}), {})
      assert.equal((await loci.letta.agents.retrieve(copied.agent_ids[0]!)).name, 'Filed_copy')
      const file = aFile({
        llm_config: {
          model: 'gone',
          model_endpoint_type: 'openai',
          context_window: 9000,
          handle: 'nowhere/gone',
        },
      })
      const { agent_ids } = await importing(file, {
        name: 'Other',
        model: SCRIPTED,
        embedding: 'openai/small',
        project_id: 'p1',
      })
      const agent = await loci.letta.agents.retrieve(agent_ids[0]!)
      assert.deepEqual(
        [
          agent.name,
          agent.model,
          agent.llm_config.context_window,
          agent.embedding,
          (agent as unknown as Raw)['project_id'],
        ],
        ['Other', SCRIPTED, 9000, 'openai/small', 'p1'],
      )
      const again = await exported(agent_ids[0]!)
      assert.deepEqual([again.agents[0]?.['name'], again.agents[0]?.['model']], ['Other', SCRIPTED])
    })

    it('messages are left out of the file or of the import', async () => {
      const agent = await talkative({ tool_rules: [] })
      await say(agent.id, 'Hi', 'Hello!')
      const scrubbed = await exported(agent.id, { scrub_messages: true })
      assert.deepEqual(
        [scrubbed.agents[0]?.messages, scrubbed.agents[0]?.['in_context_message_ids']],
        [[], []],
      )
      for (const { agent_ids } of [
        await importing(scrubbed),
        await importing(await exported(agent.id), { strip_messages: true }),
      ]) {
        const messages = await loci.http('GET', `/v1/agents/${agent_ids[0]!}/messages?order=asc`)
        const [system, ...others] = messages.body as { content: string }[]
        assert.deepEqual(others, [])
        assert.match(system?.content ?? '', /Name: Ada/, 'the prompt is compiled anew')
        await say(agent_ids[0]!, 'Hi', 'Hello!')
      }
    })

    it('a conversation is exported instead of the default one', async () => {
      const agent = await talkative({ tool_rules: [] })
      const conversation = await loci.letta.conversations.create({ agent_id: agent.id })
      model.add({ reply: { text: 'Aside.' } })
      await loci.letta.conversations.messages.create(conversation.id, {
        input: 'By the way',
        streaming: false,
      })
      const file = await exported(agent.id, { conversation_id: conversation.id })
      assert.deepEqual(
        file.agents[0]?.messages.map((message) => message['role']),
        ['system', 'user', 'assistant'],
      )
      const other = await talkative()
      await assert.rejects(exported(other.id, { conversation_id: conversation.id }), { status: 404 })
      await assert.rejects(exported(agent.id, { use_legacy_format: true }), { status: 400 })
    })

    it('tools of the file replace those of the same name, or leave them', async () => {
      const custom = (source_code: string) => ({
        ...aFile({ tool_ids: ['t'] }),
        tools: [aTool('t', { name: 'mine', source_code })],
      })
      await importing(custom('one'))
      const source = async () => (await loci.letta.tools.list({ name: 'mine' })).items[0]?.source_code
      const kept = await importing(custom('two'), { override_existing_tools: false })
      assert.deepEqual([await source(), kept.warnings.some((text) => text.includes("'mine'"))], ['one', true])
      await importing(custom('three'))
      assert.equal(await source(), 'three')
      const agent = await importing({
        ...custom('x'),
        tools: [aTool('t', { name: 'memory_insert', source_code: 'evil' })],
      })
      const { items } = await loci.letta.agents.tools.list(agent.agent_ids[0]!)
      assert.deepEqual(
        items.map((tool) => [tool.name, tool.source_code]),
        [['memory_insert', null]],
        'built-in tools stay what they are',
      )
    })

    it('a tool without a name is called as in its schema, and a warning says so', async () => {
      const json_schema = { name: 'nameless_one', parameters: { type: 'object', properties: {} } }
      const tools = [
        aTool('t', { name: null, json_schema, source_code: 'def nameless_one():\n    return 1' }),
      ]
      const { warnings } = await importing({ ...aFile({ tool_ids: ['t'] }), tools })
      assert.ok(warnings.includes("tools[0] has no name; it is called 'nameless_one', as in its schema."))
    })

    it('a tool that cannot be run here is shown to the model, and a call of it says so', async () => {
      const { agent_ids } = await importing({
        ...aFile({ tool_ids: ['t'] }),
        tools: [aTool('t', { name: 'mine', tool_type: 'external_langchain' })],
      })
      model.add(
        { reply: { tool_calls: [{ name: 'mine', arguments: {} }] } },
        { reply: { text: 'It cannot be run.' } },
      )
      const answer = await loci.letta.agents.messages.create(agent_ids[0]!, { input: 'Go' })
      const result = answer.messages.find((message) => message.message_type === 'tool_return_message')
      assert.ok(result && 'tool_return' in result)
      assert.equal(result.status, 'error')
      assert.match(result.tool_return, /mine/)
    })

    it('secrets are never in a file: their names are, without a value', async () => {
      const { agent_ids, warnings } = await importing(
        aFile({ tool_exec_environment_variables: { KEY: 'hush', GIVEN: '', EMPTY: '', 'a=b': 'hush' } }),
        { secrets: '{"OTHER": "hush", "GIVEN": "hush too"}' },
      )
      const file = await exported(agent_ids[0]!)
      assert.ok(!JSON.stringify(file).includes('hush'))
      const names = { KEY: '', GIVEN: '', EMPTY: '', OTHER: '' }
      assert.deepEqual(file.agents[0]?.['tool_exec_environment_variables'], names)
      assert.deepEqual(file.agents[0]?.['secrets'], names)
      assert.ok(warnings.some((text) => text.startsWith("Secrets 'EMPTY' have no value")))
      assert.ok(warnings.some((text) => text.startsWith("Secrets 'a=b' were left out")))
    })

    it('secrets of an import are those of the agent: of the request first, then of the file', async () => {
      const { agent_ids } = await importing(
        aFile({ secrets: { KEY: 'of the file', GIVEN: 'of the file' } }),
        { secrets: '{"OTHER": "more", "GIVEN": "of the request"}' },
      )
      const { secrets } = await loci.letta.agents.retrieve(agent_ids[0]!, { include: ['agent.secrets'] })
      assert.deepEqual(Object.fromEntries((secrets ?? []).map(({ key, value }) => [key, value])), {
        KEY: 'of the file',
        GIVEN: 'of the request',
        OTHER: 'more',
      })
    })

    it('a tool with its code runs, with what its source declares and not what the file says', async () => {
      const python = (name: string, first: string, result: string) =>
        [first, 'import os', '', `def ${name}(who: str) -> str:`, '    """Greets.', '', '    Args:']
          .concat(['        who (str): Whom.', '    """', `    return ${result}`, ''])
          .join('\n')
      const source_code = python('greet', '# loci: network', 'os.environ["WORD"] + " " + who')
      const quiet = python('quiet', '', '"hm"')
      const permissions = { network: true, read: ['/'], write: [], timeout_ms: null, memory_mb: null }
      const { agent_ids, warnings } = await importing({
        ...aFile({ tool_ids: ['t', 'q', 'b'], secrets: { WORD: 'Hello' } }),
        tools: [
          aTool('t', { name: 'greet', source_code, source_type: 'python', tags: ['mine'] }),
          aTool('q', { name: 'quiet', source_code: quiet, metadata_: { permissions, a: 1 } }),
          aTool('b', { name: 'broken', source_code: 'def broken(:', source_type: 'python' }),
        ],
      })
      const { items } = await loci.letta.agents.tools.list(agent_ids[0]!)
      const tool = (name: string) => items.find((one) => one.name === name)
      const network = (name: string) =>
        (tool(name)?.metadata_?.['permissions'] as { network?: boolean } | undefined)?.network
      assert.deepEqual(
        [network('greet'), network('quiet'), tool('quiet')?.metadata_?.['a']],
        [true, false, 1],
      )
      assert.ok(
        warnings.some((text) =>
          text.startsWith("Tool 'broken' was stored, but its source cannot be read: Line 1"),
        ),
      )
      const run = (name: string) =>
        loci.letta.agents.tools.run(name, { agent_id: agent_ids[0]!, args: { who: 'Ada' } })
      assert.equal((await run('greet')).func_return, 'Hello Ada')
      assert.equal((await run('broken')).status, 'error')
      const file = await exported(agent_ids[0]!)
      assert.deepEqual(
        file.tools.map(({ name, source_code: code, tags }) => [name, code, tags ?? []]),
        [
          ['broken', 'def broken(:', []],
          ['greet', source_code, ['mine']],
          ['quiet', quiet, []],
        ],
      )
      for (const name of ['greet', 'quiet', 'broken']) await loci.letta.tools.delete(tool(name)?.id ?? '')
    })

    it('a JSON body is as good as a form', async () => {
      const plain = await loci.http('POST', '/v1/agents/import', aFile({}))
      const wrapped = await loci.http('POST', '/v1/agents/import', { file: aFile({}), name: 'Wrapped' })
      assert.deepEqual([plain.status, wrapped.status], [200, 200])
      const [id] = (wrapped.body as { agent_ids: string[] }).agent_ids
      assert.equal((await loci.letta.agents.retrieve(id!)).name, 'Wrapped')
    })
  })

  describe('bad files', () => {
    const cases: [string, unknown, RegExp][] = [
      ['no agent file', { a: 1 }, /^agents: it is missing/],
      ['a list', [], /^the file: expected a JSON object/],
      ['no agents', { agents: [] }, /^agents: the list is empty/],
      ['agents of a wrong type', { agents: 'x' }, /^agents: expected a list/],
      ['a wrong type', aFile({ name: 5 }), /^agents\[0\]\.name: /],
      [
        'a wrong type deep inside',
        aFile({
          messages: [
            { id: 'm', role: 'user', content: 'x', tool_calls: [{ id: 'c', function: { name: 1 } }] },
          ],
        }),
        /^agents\[0\]\.messages\[0\]\.tool_calls\[0\]\.function\.name: /,
      ],
      [
        'an unknown role',
        aFile({ messages: [{ id: 'm', role: 'wizard', content: 'x' }] }),
        /^agents\[0\]\.messages\[0\]\.role: /,
      ],
      [
        'a bad date',
        aFile({ messages: [{ id: 'm', role: 'user', content: 'x', created_at: 'soon' }] }),
        /^agents\[0\]\.messages\[0\]\.created_at: /,
      ],
      [
        'two messages of one id',
        aFile({
          messages: [
            { id: 'm', role: 'user', content: 'x' },
            { id: 'm', role: 'user', content: 'x' },
          ],
        }),
        /^agents\[0\]\.messages\[1\]\.id: 'm' is the id of agents\[0\]\.messages\[0\] already/,
      ],
      [
        'a context that names no message',
        aFile({ in_context_message_ids: ['nope'] }),
        /^agents\[0\]\.in_context_message_ids\[0\]: the file has no message 'nope'/,
      ],
      [
        'a missing tool',
        aFile({ tool_ids: ['tool-9'] }),
        /^agents\[0\]\.tool_ids\[0\]: the file has no tool 'tool-9'/,
      ],
      ['a missing block', aFile({ block_ids: ['b'] }), /^agents\[0\]\.block_ids\[0\]: /],
      ['a missing folder', aFile({ source_ids: ['s'] }), /^agents\[0\]\.source_ids\[0\]: /],
      [
        'a missing file',
        aFile({ files_agents: [{ file_id: 'f', source_id: 's' }] }),
        /^agents\[0\]\.files_agents\[0\]\.file_id: /,
      ],
      [
        'a tool by an unknown name',
        aFile({ tools: ['fly'] }),
        /^agents\[0\]\.tools\[0\]: there is no tool named 'fly'/,
      ],
      [
        'two agents of one id',
        { ...aFile({}), agents: [...aFile({}).agents, ...aFile({}).agents] },
        /^agents\[1\]\.id: /,
      ],
      [
        'two blocks of one label',
        {
          ...aFile({ block_ids: ['x', 'y'] }),
          blocks: ['x', 'y'].map((id) => ({ id, label: 'same', value: '' })),
        },
        /^agents\[0\]\.block_ids\[1\]: .*'same'/,
      ],
      [
        'two tools of one name',
        { ...aFile({}), tools: ['x', 'y'].map((id) => aTool(id, { name: 'same' })) },
        /^tools\[1\]\.name: /,
      ],
      [
        'a group of nobody',
        { ...aFile({}), groups: [aGroup('agent-0', ['ghost'])] },
        /^groups\[0\]\.agent_ids\[0\]: /,
      ],
      [
        'a group that leads itself',
        { ...aFile({}), groups: [aGroup('agent-0', ['agent-0'])] },
        /^groups\[0\]\.agent_ids: the groups go in a circle/,
      ],
      [
        'a newer version',
        { ...aFile({}), metadata: { agent_file_version: '2' } },
        /^metadata\.agent_file_version: .*newer/,
      ],
      [
        'a newer version of the older format',
        { version: '3.0', agent_type: 'memgpt_agent', messages: [], core_memory: [] },
        /^version: .*newer/,
      ],
      [
        'a message number that is none',
        { agent_type: 'memgpt_agent', messages: [], core_memory: [], in_context_message_indices: [4] },
        /^in_context_message_indices\[0\]: /,
      ],
      ['no model', aFile({ llm_config: null, model: 'nowhere/gone' }), /^agents\[0\]\.model: /],
      [
        'more of it than anybody needs',
        {
          ...aFile({}),
          blocks: Array.from({ length: 1001 }, (_, i) => ({ id: `b${i}`, label: 'x', value: '' })),
        },
        /^blocks: there are 1001/,
      ],
    ]
    for (const [what, file, expected] of cases)
      it(`${what}: 400 that names the place`, async () => {
        const [status, detail] = await refusal(file)
        assert.equal(status, 400)
        assert.match(String(detail), expected)
      })

    for (const [what, text] of [
      ['half of the file', JSON.stringify(aFile({})).slice(0, -20)],
      ['a bare word', 'agents'],
      ['a raw NUL', JSON.stringify(aFile({})).replace('Filed', 'Fi\0led')],
      ['two values', '{} {}'],
      ['deep nesting', '['.repeat(100_000)],
      ['a comma too many in a long list', `{"agents": [${'"x",'.repeat(30_000)}]}`],
      ['nothing', ''],
    ] as const)
      it(`${what} is no JSON: 400`, async () => {
        const [status, detail] = await refusal(text)
        assert.equal(status, 400)
        assert.match(String(detail), /not valid JSON/)
      })

    it('an escaped NUL is left out, as everywhere', async () => {
      const { agent_ids } = await importing(aFile({ name: 'Fi\0led' }))
      assert.equal((await loci.letta.agents.retrieve(agent_ids[0]!)).name, 'Filed')
    })

    it('a form without a file, or with options that are none, is refused with 422', async () => {
      const send = async (fields: Record<string, string>) => {
        const form = new FormData()
        for (const [name, value] of Object.entries(fields)) form.append(name, value)
        const answer = await fetch(`${loci.url}/v1/agents/import`, { method: 'POST', body: form })
        return [answer.status, ((await answer.json()) as { detail: string }).detail] as const
      }
      assert.match((await send({ name: 'x' })).join(' '), /^422 .*body\.file/)
      const file = JSON.stringify(aFile({}))
      assert.match((await send({ file, secrets: '{' })).join(' '), /^422 .*body\.secrets/)
      assert.match((await send({ file, strip_messages: 'perhaps' })).join(' '), /^422 .*body\.strip_messages/)
    })

    it('a huge file is refused with 413, whether its size is announced or not', async () => {
      const post = async (body: Buffer | ReadableStream) => {
        const headers = { 'content-type': 'application/json' }
        const init = { method: 'POST', headers, body, duplex: 'half' } as RequestInit
        return (await fetch(`${loci.url}/v1/agents/import`, init).catch((error: unknown) => error)) as
          | Response
          | Error
      }
      const piece = Buffer.alloc(1024 * 1024, ' ')
      let left = 130
      const pieces = new ReadableStream({
        pull(controller) {
          if (left-- > 0) controller.enqueue(piece)
          else controller.close()
        },
      })
      for (const answer of [await post(Buffer.alloc(130 * piece.length, ' ')), await post(pieces)])
        // The connection is closed; a client that still writes may see that alone.
        assert.ok(answer instanceof Error || answer.status === 413)
    })
  })
})

function aFile(agent: Raw): AgentFile {
  const inline = agent['block_ids'] === undefined
  return {
    agents: [
      {
        id: 'agent-0',
        name: 'Filed',
        agent_type: 'letta_v1_agent',
        system: 'Be kind.',
        llm_config: {
          model: 'test-model',
          model_endpoint_type: 'openai',
          context_window: 9000,
          handle: SCRIPTED,
        },
        tool_ids: [],
        block_ids: inline ? ['block-0'] : [],
        source_ids: [],
        files_agents: [],
        group_ids: [],
        in_context_message_ids: [],
        ...agent,
        messages: (agent['messages'] as Raw[] | undefined) ?? [],
      },
    ],
    groups: [],
    blocks: inline ? [{ id: 'block-0', label: 'human', value: 'Name: Ada' }] : [],
    files: [],
    sources: [],
    tools: [],
    mcp_servers: [],
    skills: [],
  }
}

function aTool(id: string, more: Raw): Raw {
  return {
    id,
    tool_type: 'custom',
    json_schema: { name: more['name'], parameters: { type: 'object', properties: {} } },
    ...more,
  }
}

function aGroup(manager_agent_id: string, agent_ids: string[]): Raw {
  return {
    id: 'group-0',
    description: 'x',
    agent_ids,
    manager_config: { manager_type: 'supervisor', manager_agent_id },
  }
}

import assert from 'node:assert/strict'
import { SCRIPTED, type TestLoci } from '../support/loci.ts'
import { withLociEach } from '../support/scripted-loci.ts'
import type { ScriptedModel } from '../support/scripted-model.ts'

interface Agent {
  id: string
  name: string
  model: string
  persona: string | null
  human: string | null
  tools: string[]
  memory_blocks: { label: string; value: string }[]
}

interface Answer {
  content: string
  messages: { message_type: string; role: string }[]
  usage: { total_tokens: number; step_count: number }
  stop_reason: string
  conversation_id: string
  run_id: string
}

describe('the simple API', () => {
  let t: TestLoci
  let model: ScriptedModel
  withLociEach((started) => ({ t, model } = started), { models: ['test-model', 'gpt-4o-mini'] })

  async function ok<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await t.http(method, path, body)
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body as T
  }
  async function refused(status: number, method: string, path: string, body?: unknown): Promise<string> {
    const answer = await t.http(method, path, body)
    assert.equal(answer.status, status, JSON.stringify(answer.body))
    return (answer.body as { detail: string }).detail
  }
  const sam = (more: object = {}) =>
    ok<Agent>('POST', '/agents', { name: 'sam', persona: 'I am Sam.', model: 'gpt-4o-mini', ...more })

  describe('agents', () => {
    it('are made with a persona, a human and a model without its provider', async () => {
      const made = await sam({ human: 'Ada', tools: ['archival_memory_search'] })
      assert.equal(made.model, 'openai/gpt-4o-mini')
      assert.deepEqual([made.persona, made.human], ['I am Sam.', 'Ada'])
      assert.deepEqual(
        made.memory_blocks.map(({ label }) => label),
        ['persona', 'human'],
      )
      assert.ok(made.tools.includes('archival_memory_search') && made.tools.includes('memory_insert'))
      const whole = await t.letta.agents.retrieve(made.id, { include: ['agent.blocks'] })
      assert.deepEqual(
        whole.blocks.map(({ label, value }) => [label, value]),
        [
          ['persona', 'I am Sam.'],
          ['human', 'Ada'],
        ],
      )
    })

    it('have a place for what they learn, unless they are given other blocks', async () => {
      const labels = async (body: object) =>
        (await sam(body)).memory_blocks.map(({ label, value }) => [label, value])
      assert.deepEqual(await labels({}), [
        ['persona', 'I am Sam.'],
        ['human', ''],
      ])
      assert.deepEqual(await labels({ name: 'max', memory_blocks: [{ label: 'notes', value: 'None.' }] }), [
        ['persona', 'I am Sam.'],
        ['notes', 'None.'],
      ])
    })

    it('take a model with its provider, and the default one when none is named', async () => {
      assert.equal((await sam({ model: 'openai/gpt-4o-mini' })).model, 'openai/gpt-4o-mini')
      const { model: chosen } = await ok<Agent>('POST', '/agents', { name: 'max' })
      assert.equal(chosen, SCRIPTED)
    })

    it('say which models there are when there is none of a name', async () => {
      const said = await refused(404, 'POST', '/agents', { name: 'sam', model: 'gpt-9' })
      assert.match(said, /There is no model 'gpt-9'.*openai\/test-model/)
      assert.match(
        await refused(404, 'POST', '/agents', { name: 'sam', model: 'openai/gpt-9' }),
        /There is no model 'openai\/gpt-9'/,
      )
    })

    it('are found by name and by id, also by names that are escaped in a path', async () => {
      const made = await sam({ name: "Ada's agent é" })
      const path = `/agents/${encodeURIComponent("Ada's agent é")}`
      assert.deepEqual(await ok('GET', path), made)
      assert.deepEqual(await ok('GET', `/agents/${made.id}`), made)
      assert.deepEqual(await ok('GET', '/agents'), [made])
      assert.deepEqual(await ok('GET', '/agents/'), [made])
    })

    it('that are not there are a 404 with a name that is near', async () => {
      assert.match(
        await refused(404, 'GET', '/agents/sam'),
        /There is no agent 'sam'\. There are no agents yet/,
      )
      await sam()
      assert.match(await refused(404, 'GET', '/agents/sma'), /Did you mean 'sam'\?/)
      assert.match(await refused(404, 'POST', '/agents/sma/messages', { message: 'Hi' }), /'sam'/)
      assert.equal(await refused(404, 'GET', `/agents/agent-${crypto.randomUUID()}`), 'Agent not found')
    })

    it('have names of their own: of twenty at once one is made', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => t.http('POST', '/agents', { name: 'sam' })),
      )
      const codes = answers.map(({ status }) => status).toSorted()
      assert.deepEqual(codes, [200, ...Array<number>(19).fill(409)])
      await ok('POST', '/agents', { name: 'max' })
      assert.match(
        await refused(409, 'PATCH', '/agents/max', { name: 'sam' }),
        /an agent named 'sam' already/,
      )
    })

    it('of one name, made elsewhere, need their ids', async () => {
      const one = await t.letta.agents.create({ name: 'twin', model: SCRIPTED })
      const two = await t.letta.agents.create({ name: 'twin', model: SCRIPTED })
      const said = await refused(409, 'GET', '/agents/twin')
      assert.ok(said.includes(one.id) && said.includes(two.id), said)
      assert.equal((await ok<Agent>('GET', `/agents/${two.id}`)).id, two.id)
    })

    it('are changed, with the memory that they have and that they do not have', async () => {
      const made = await sam({ memory_blocks: [] })
      assert.equal(made.human, null)
      const changed = await ok<Agent>('PATCH', '/agents/sam', {
        name: 'samuel',
        persona: 'I am Samuel.',
        human: 'Bob',
        model: 'test-model',
        tools: ['conversation_search'],
      })
      assert.deepEqual(
        [changed.id, changed.name, changed.persona, changed.human, changed.model, changed.tools],
        [made.id, 'samuel', 'I am Samuel.', 'Bob', SCRIPTED, ['conversation_search']],
      )
      assert.deepEqual(await ok('GET', '/agents/samuel'), changed)
      assert.deepEqual((await ok<Agent>('PATCH', '/agents/samuel', { tools: [] })).tools, [])
      assert.match(
        await refused(400, 'PATCH', '/agents/samuel', { name: 'x', tools: ['no_such'] }),
        /no tool named 'no_such'/,
      )
      assert.equal((await ok<Agent>('GET', '/agents/samuel')).name, 'samuel')
    })

    it('are deleted', async () => {
      await sam()
      await ok('DELETE', '/agents/sam')
      await refused(404, 'GET', '/agents/sam')
      await refused(404, 'DELETE', '/agents/sam')
      await sam()
    })

    it('take fields in camelCase, and refuse one that is written both ways', async () => {
      const made = await sam({
        includeBaseTools: false,
        memoryBlocks: [{ label: 'notes', value: 'None.', readOnly: true }],
      })
      assert.deepEqual(made.tools, [])
      const [, notes] = (await t.letta.agents.blocks.list(made.id)).items.toSorted((a, b) =>
        (b.label ?? '').localeCompare(a.label ?? ''),
      )
      assert.deepEqual([notes?.label, notes?.read_only], ['notes', true])
      const said = await refused(422, 'POST', '/agents', {
        name: 'max',
        includeBaseTools: false,
        include_base_tools: true,
      })
      assert.match(said, /^body\.includeBaseTools: /)
    })

    it('say where a body is wrong', async () => {
      assert.match(await refused(422, 'POST', '/agents', {}), /^body\.name: /)
      assert.match(await refused(422, 'POST', '/agents', { name: 'a/b' }), /^body\.name: letters/)
      assert.match(await refused(422, 'POST', '/agents', { name: 'sam', persona: 7 }), /^body\.persona: /)
      assert.match(await refused(422, 'POST', '/agents', 'no json'), /^body: not valid JSON/)
      assert.match(await refused(422, 'POST', '/agents', '[]'), /^body: /)
      assert.match(
        await refused(422, 'POST', '/agents', {
          name: 'sam',
          persona: 'A',
          memory_blocks: [{ label: 'persona', value: 'B' }],
        }),
        /^body\.memory_blocks\.0\.label: /,
      )
      assert.match(await refused(422, 'GET', '/agents?limit=0'), /^query\.limit: /)
      assert.deepEqual(await ok('GET', '/agents'), [])
    })

    it('say which methods a path takes', async () => {
      const put = await t.http('PUT', '/agents/sam', {})
      assert.deepEqual([put.status, put.headers.get('allow')], [405, 'GET, HEAD, PATCH, DELETE'])
      assert.equal((await t.http('GET', '/agents/sam/nothing')).status, 404)
      assert.equal((await t.http('GET', '/constructor')).status, 404)
    })
  })

  describe('messages', () => {
    it('are answered with what was said, the messages, the usage and the conversation', async () => {
      const { id } = await sam()
      model.add(
        {
          reply: {
            text: 'One moment.',
            tool_calls: [{ name: 'memory_insert', arguments: { label: 'persona', new_string: 'And kind.' } }],
          },
        },
        { reply: { text: 'I am fine.' } },
      )
      const answer = await ok<Answer>('POST', '/agents/sam/messages', { message: 'How are you?' })
      assert.equal(answer.content, 'One moment.\n\nI am fine.')
      assert.deepEqual(
        answer.messages.map((m) => [m.message_type, m.role]),
        [
          ['assistant_message', 'assistant'],
          ['tool_call_message', 'assistant'],
          ['tool_return_message', 'tool'],
          ['assistant_message', 'assistant'],
        ],
      )
      assert.ok(answer.usage.total_tokens > 0)
      assert.deepEqual([answer.stop_reason, answer.conversation_id], ['end_turn', id])
      assert.equal((await t.letta.runs.retrieve(answer.run_id)).status, 'completed')
      assert.equal(Object.hasOwn(answer, 'agent_state'), false)
    })

    it('come with the agent as it is after them when it is asked for', async () => {
      const { id } = await sam({ secrets: { KEY: 'hidden-value' } })
      model.add(
        {
          reply: {
            tool_calls: [{ name: 'memory_insert', arguments: { label: 'persona', new_string: 'And kind.' } }],
          },
        },
        { reply: { text: 'Done.' } },
        { reply: { text: 'Again.' } },
      )
      type WithState = Answer & { agent_state: { id: string; blocks: { value: string }[] } }
      const answer = await ok<WithState>('POST', '/agents/sam/messages', {
        message: 'Be kind',
        includeAgentState: true,
      })
      assert.equal(answer.agent_state.id, id)
      assert.equal(answer.agent_state.blocks[0]?.value, 'I am Sam.\nAnd kind.')
      assert.doesNotMatch(JSON.stringify(answer), /hidden-value/)
      const lines = await linesOf('/agents/sam/messages', {
        message: 'Again',
        stream: true,
        include_agent_state: true,
      })
      assert.equal((lines.at(-1) as unknown as WithState).agent_state.id, id)
    })

    it('belong to a conversation, which has the default one beside it', async () => {
      const { id } = await sam()
      const other = await t.letta.agents.create({ name: 'other', model: SCRIPTED })
      const made = await ok<{ id: string; agent_id: string }>('POST', '/agents/sam/conversations')
      assert.equal(made.agent_id, id)
      model.add({ reply: { text: 'Here.' } }, { reply: { text: 'There.' } }, { reply: { text: 'Default.' } })
      const say = (message: string, more: object) =>
        ok<Answer>('POST', '/agents/sam/messages', { message, ...more })
      assert.equal((await say('One', { conversationId: made.id })).conversation_id, made.id)
      assert.equal((await say('Two', { conversation_id: null })).conversation_id, id)
      assert.equal((await say('Three', { conversation_id: 'default' })).conversation_id, id)
      const listed = await ok<{ id: string }[]>('GET', '/agents/sam/conversations')
      assert.deepEqual(
        listed.map((conversation) => conversation.id),
        [id, made.id],
      )
      const pages = [
        await ok<{ id: string }[]>('GET', '/agents/sam/conversations?limit=1'),
        await ok<{ id: string }[]>('GET', `/agents/sam/conversations?limit=1&after=${id}`),
        await ok<{ id: string }[]>('GET', `/agents/sam/conversations?limit=1&after=${made.id}`),
      ]
      assert.deepEqual(
        pages.map((page) => page.map((conversation) => conversation.id)),
        [[id], [made.id], []],
      )
      assert.deepEqual(await texts(`/agents/sam/conversations/${made.id}/messages`), [
        ['user', 'One'],
        ['assistant', 'Here.'],
      ])
      const theirs = `/agents/other/conversations/${made.id}`
      await refused(404, 'GET', `${theirs}/messages`)
      await refused(404, 'GET', theirs)
      await refused(404, 'POST', '/agents/other/messages', { message: 'Hi', conversation_id: made.id })
      await refused(404, 'GET', '/agents/sam/conversations/nothing/messages')
      await refused(404, 'GET', `/agents/sam/conversations/${other.id}/messages`)
    })

    it('are listed as they came: the newest of them, and those around one', async () => {
      await sam()
      for (const text of ['1', '2', '3']) {
        model.add({ reply: { text: `Answer ${text}.` } })
        await ok('POST', '/agents/sam/messages', { message: `Question ${text}` })
      }
      const path = '/agents/sam/conversations/default/messages'
      assert.deepEqual(await texts(`${path}?limit=2`), [
        ['user', 'Question 3'],
        ['assistant', 'Answer 3.'],
      ])
      assert.deepEqual(await texts(`${path}?limit=2&order=desc`), [
        ['assistant', 'Answer 3.'],
        ['user', 'Question 3'],
      ])
      const [, , third] = await ok<{ id: string }[]>('GET', path)
      assert.deepEqual(await texts(`${path}?before=${third?.id}`), [
        ['user', 'Question 1'],
        ['assistant', 'Answer 1.'],
      ])
      assert.deepEqual(await texts(`${path}?after=${third?.id}&limit=1`), [['assistant', 'Answer 2.']])
    })

    it('wait for each other: none is refused because another one is answered', async () => {
      await sam()
      const gate = Promise.withResolvers<void>()
      model.add({ reply: { text: 'First.', hold: gate.promise } })
      const say = (message: string) => ok<Answer>('POST', '/agents/sam/messages', { message })
      const first = say('One')
      await model.request(0)
      const asked = ['Two', 'Three', 'Four'].map((message) => {
        model.add({ reply: (body) => ({ text: `To ${String(lastText(body.messages))}.` }) })
        return say(message)
      })
      gate.resolve()
      assert.equal((await first).content, 'First.')
      const others = await Promise.all(asked)
      assert.deepEqual(
        others.map(({ content }) => content),
        ['To Two.', 'To Three.', 'To Four.'],
      )
    })

    it('that wait are not sent when their client has left', async () => {
      await sam()
      const gate = Promise.withResolvers<void>()
      model.add({ reply: { text: 'First.', hold: gate.promise } }, { reply: { text: 'Last.' } })
      const first = ok<Answer>('POST', '/agents/sam/messages', { message: 'One' })
      await model.request(0)
      const leaving = new AbortController()
      const left = fetch(`${t.url}/agents/sam/messages`, {
        method: 'POST',
        body: JSON.stringify({ message: 'Two' }),
        signal: leaving.signal,
      })
      const gone = assert.rejects(left)
      const last = ok<Answer>('POST', '/agents/sam/messages', { message: 'Three' })
      leaving.abort()
      await gone
      gate.resolve()
      await first
      assert.equal((await last).content, 'Last.')
      const said = (await texts('/agents/sam/conversations/default/messages')).map(([, text]) => text)
      assert.deepEqual(said, ['One', 'First.', 'Three', 'Last.'])
    })

    it('say where a body is wrong', async () => {
      await sam()
      const wrong: [unknown, RegExp][] = [
        [undefined, /^body: /],
        [{}, /^body\.message: Invalid input: expected string or array, received undefined$/],
        [{ msg: 'Hi' }, /^body\.message: .*received undefined/],
        [{ message: ' ' }, /^body\.message: a message is more than spaces/],
        [{ message: 7 }, /^body\.message: .*string or array, received number/],
        [{ message: 'Hi', stream: 'yes' }, /^body\.stream: /],
        [{ message: 'Hi', max_steps: 0 }, /^body\.max_steps: /],
        [{ message: 'Hi', maxSteps: 'x' }, /^body\.max_steps: /],
      ]
      for (const [body, says] of wrong)
        assert.match(await refused(422, 'POST', '/agents/sam/messages', body), says)
      assert.equal(model.requests.length, 0)
    })

    it('answer with the error of the model', async () => {
      await sam()
      model.add({ reply: { status: 401, body: { error: { message: 'Wrong key' } } } })
      assert.match(await refused(401, 'POST', '/agents/sam/messages', { message: 'Hi' }), /Wrong key/)
    })
  })

  describe('limits of a model', () => {
    it('are told with the time to wait, where the provider says it', async () => {
      await sam()
      for (const [headers, told] of [
        [{ 'retry-after': '3600' }, '3600'],
        [{ 'retry-after-ms': '90500' }, '91'],
        [{ 'x-should-retry': 'false' }, null],
      ] as const) {
        model.add({ reply: { status: 429, body: { error: { message: 'Slow down' } }, headers } })
        const answer = await t.http('POST', '/agents/sam/messages', { message: 'Hi' })
        assert.equal(answer.status, 429)
        assert.equal(answer.headers.get('retry-after'), told)
        assert.equal(answer.headers.get('x-should-retry'), 'false', 'Loci has tried again by itself')
      }
    })
  })

  describe('streams', () => {
    it('are lines of JSON: what is said as content, everything else beside it', async () => {
      const { id } = await sam()
      model.add(
        {
          reply: {
            reasoning: 'Hm.',
            text: ['One ', 'moment.'],
            tool_calls: [{ name: 'memory_insert', arguments: { label: 'persona', new_string: 'Kind.' } }],
          },
        },
        { reply: { text: ['I am ', 'fine.'] } },
      )
      const lines = await linesOf('/agents/sam/messages', { message: 'How are you?', stream: true })
      assert.deepEqual(
        lines.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]),
        ['start', 'reasoning', 'content', 'tool_call', 'tool_return', 'content', 'end'],
      )
      const contents = lines.flatMap((line) => ('content' in line ? [line['content']] : []))
      assert.ok(contents.length >= 4, 'piece by piece')
      assert.equal(contents.join(''), 'One moment.\n\nI am fine.')
      const call = lines.find(({ type }) => type === 'tool_call')
      assert.deepEqual(
        [call?.['name'], JSON.parse(String(call?.['arguments']))],
        ['memory_insert', { label: 'persona', new_string: 'Kind.' }],
      )
      const end = lines.at(-1)
      assert.deepEqual([end?.['stop_reason'], end?.['conversation_id']], ['end_turn', id])
      assert.equal((end?.['usage'] as { step_count: number } | undefined)?.step_count, 2)
    })

    it('begin with an error status when nothing has begun, and end with a line when something had', async () => {
      await refused(404, 'POST', '/agents/nobody/messages', { message: 'Hi', stream: true })
      await sam()
      model.add({ reply: { status: 400, body: { error: { message: 'No such thing' } } } })
      const lines = await linesOf('/agents/sam/messages', { message: 'Hi', stream: true })
      const last = lines.at(-1)
      assert.equal(last?.type, 'error')
      assert.match(String(last?.['detail']), /No such thing/)
      assert.ok(lines.every((line) => !('content' in line)))
    })

    it('ask for approval whole, and end there', async () => {
      await sam()
      await t.http('PATCH', '/v1/agents/' + (await ok<Agent>('GET', '/agents/sam')).id, {
        tool_rules: [{ type: 'requires_approval', tool_name: 'memory_insert' }],
      })
      model.add({
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'persona', new_string: 'Kind.' } }],
        },
      })
      const lines = await linesOf('/agents/sam/messages', { message: 'Be kind', stream: true })
      assert.deepEqual(
        lines.map(({ type }) => type),
        ['start', 'approval_request', 'end'],
      )
      assert.equal(lines.at(-1)?.['stop_reason'], 'requires_approval')
      const waiting = await t.http('POST', '/agents/sam/messages', { message: 'Well?' })
      assert.equal(waiting.status, 409)
      const { detail, code, pending_request_id } = waiting.body as Record<string, string>
      assert.match(detail ?? '', /approv/)
      assert.deepEqual([code, pending_request_id?.startsWith('message-')], ['PENDING_APPROVAL', true])
    })

    it('of agents that speak by a tool carry what they say', async () => {
      await t.letta.agents.create({ name: 'old', model: SCRIPTED, agent_type: 'memgpt_agent' })
      model.add({
        reply: {
          tool_calls: [
            { name: 'send_message', arguments: { inner_thoughts: 'Greet.', message: 'Hello there.' } },
          ],
        },
      })
      const lines = await linesOf('/agents/old/messages', { message: 'Hi', stream: true })
      const said = lines.map((line) => (typeof line['content'] === 'string' ? line['content'] : '')).join('')
      assert.equal(said, 'Hello there.')
      assert.ok(!lines.some(({ type }) => type === 'tool_call' || type === 'tool_return'))
    })
  })

  describe('batches', () => {
    type Result = Answer & { error: { status: number; message: string } | null }
    const batch = (body: object) => ok<Result[]>('POST', '/agents/sam/batch', body)

    it('are answered in their order, several at once, each with its own error', async () => {
      await sam()
      const gate = Promise.withResolvers<void>()
      const reply = (body: { messages: unknown }) => {
        const said = String(lastText(body.messages))
        if (said === 'Bad') return { status: 400, body: { error: { message: 'I will not' } } }
        return { text: `To ${said}.`, hold: gate.promise }
      }
      model.add({ reply }, { reply }, { reply })
      const asked = batch({ messages: ['One', 'Bad', 'Three'], batchSize: 3 })
      await model.request(2)
      gate.resolve()
      const results = await asked
      assert.deepEqual(
        results.map(({ content }) => content),
        ['To One.', null, 'To Three.'],
      )
      assert.deepEqual(
        results.map(({ error }) => error?.status ?? null),
        [null, 400, null],
      )
      assert.match(results[1]?.error?.message ?? '', /I will not/)
      const ids = new Set(results.map(({ conversation_id }) => conversation_id))
      assert.equal(ids.size, 3, 'each in a conversation of its own')
      assert.equal((await ok<unknown[]>('GET', '/agents/sam/conversations')).length, 1)
      model.add({ reply: { text: 'Still here.' } })
      const { conversation_id } = results[0]!
      const more = await ok<Answer>('POST', '/agents/sam/messages', { message: 'And?', conversation_id })
      assert.equal(more.content, 'Still here.')
    })

    it('have no more than batch_size at once', async () => {
      await sam()
      const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>())
      for (const gate of gates) model.add({ reply: { text: 'Yes.', hold: gate.promise } })
      const asked = batch({ messages: ['1', '2', '3', '4'], batch_size: 2 })
      await model.request(1)
      assert.equal(model.requests.length, 2)
      gates[0]?.resolve()
      await model.request(2)
      assert.equal(model.requests.length, 3)
      for (const gate of gates) gate.resolve()
      assert.equal((await asked).length, 4)
    })

    it('go one after another in a conversation that is named', async () => {
      const { id } = await sam()
      model.add({ reply: { text: 'A.' } }, { reply: { text: 'B.' } })
      const results = await batch({ messages: ['One', 'Two'], batch_size: 2, conversation_id: 'default' })
      assert.deepEqual(
        results.map((r) => [r.content, r.conversation_id]),
        [
          ['A.', id],
          ['B.', id],
        ],
      )
    })

    it('say where a body is wrong', async () => {
      await sam()
      const wrong: [unknown, RegExp][] = [
        [{}, /^body\.messages: /],
        [{ messages: [] }, /^body\.messages: /],
        [{ messages: ['Hi', ''] }, /^body\.messages\.1: /],
        [{ messages: ['Hi'], batch_size: 0 }, /^body\.batch_size: /],
        [{ messages: Array<string>(1001).fill('Hi') }, /^body\.messages: /],
      ]
      for (const [body, says] of wrong)
        assert.match(await refused(422, 'POST', '/agents/sam/batch', body), says)
      await refused(404, 'POST', '/agents/nobody/batch', { messages: ['Hi'] })
    })
  })

  interface Line {
    type: string
    [field: string]: unknown
  }

  async function linesOf(path: string, body: object): Promise<Line[]> {
    const answer = await fetch(t.url + path, { method: 'POST', body: JSON.stringify(body) })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'application/x-ndjson; charset=utf-8')
    const text = await answer.text()
    assert.ok(text.endsWith('\n'))
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  }

  async function texts(path: string): Promise<[string, string][]> {
    const listed = await ok<{ role: string; content: string }[]>('GET', path)
    return listed.map(({ role, content }) => [role, content])
  }
})

function lastText(messages: unknown): unknown {
  const content = (messages as { content: unknown }[]).at(-1)?.content
  return Array.isArray(content) ? (content[0] as { text: string }).text : content
}

import assert from 'node:assert/strict'
import { openInProcess } from '../../shared/client/in-process.ts'
import { eventually } from '../support/loci.ts'
import { withDeadline } from '../support/cli-process.ts'
import type { Question } from '../support/mcp-hosts.ts'
import { describeHosts } from '../support/mcp-suite.ts'

const MODEL = 'openai/test-model'
const searches = (id: string, query = 'owls') => ({ name: 'conversation_search', arguments: { query }, id })

describeHosts('turns', (suite) => {
  afterEach(() => suite.model.done())

  /** An agent whose conversation_search needs approval. */
  async function guarded(name: string): Promise<void> {
    const client = await openInProcess({ data: suite.env['LOCI_HOME'], env: suite.env })
    try {
      await client.letta.agents.create({
        name,
        model: MODEL,
        memory_blocks: [{ label: 'human', value: '' }],
        tool_rules: [{ type: 'requires_approval', tool_name: 'conversation_search' }],
      })
    } finally {
      await client.close()
    }
  }

  before(async () => {
    const made = await suite.host.call('agent_create', { name: 'Slow', model: MODEL })
    assert.equal(made.isError, false, made.text)
  })

  it('picks a reply up with run_get when the turn took longer than its call', async () => {
    const rest = Promise.withResolvers<void>()
    suite.model.add({ reply: { text: 'Done at last.', hold: rest.promise } })
    const sent = await suite.host.call('agent_send_message', {
      agent: 'Slow',
      message: 'Go',
      wait_seconds: 1,
    })
    assert.equal(sent.structured?.['status'], 'running')
    const run_id = String(sent.structured?.['run_id'])
    assert.match(sent.text, new RegExp(`still working after 1 s \\(${run_id}\\)`))
    const early = await suite.host.call('run_get', { run_id, wait_seconds: 0 })
    assert.equal(early.structured?.['status'], 'running')
    const later = suite.host.call('run_get', { run_id, wait_seconds: 30 })
    rest.resolve()
    const { text, structured } = await withDeadline(later, 'the reply')
    assert.equal(text, 'Done at last.')
    assert.deepEqual(structured, {
      status: 'completed',
      reply: 'Done at last.',
      run_id,
      conversation_id: null,
      tools_used: [],
      approvals: [],
    })
  })

  it('stops a turn with run_cancel', async () => {
    const never = Promise.withResolvers<void>()
    suite.model.add({ reply: { text: 'Never said.', hold: never.promise } })
    const sent = await suite.host.call('agent_send_message', {
      agent: 'Slow',
      message: 'Go',
      wait_seconds: 1,
    })
    const run_id = String(sent.structured?.['run_id'])
    const asked = suite.model.requests.at(-1)
    const stopped = await suite.host.call('run_cancel', { run_id })
    assert.match(stopped.text, new RegExp(`^Stopped ${run_id}`))
    assert.equal(await withDeadline(asked!.ended, 'the request to the model'), 'aborted')
    never.resolve()
    const now = await suite.host.call('run_get', { run_id })
    assert.equal(now.structured?.['status'], 'cancelled')
    assert.match((await suite.host.call('run_cancel', { run_id })).text, /has ended already/)
    const wrong = await suite.host.call('run_get', { run_id: `${run_id}x` })
    assert.equal(wrong.isError, true)
    assert.match(wrong.text, new RegExp(`Did you mean '${run_id}'`))
  })

  it('says of a failed turn why it failed', async () => {
    suite.model.add({ reply: { status: 400, body: { error: { message: 'no such thing' } } } })
    const failed = await suite.host.call('agent_send_message', { agent: 'Slow', message: 'Go' })
    assert.equal(failed.isError, true)
    assert.match(failed.text, /no such thing/)
    const client = await openInProcess({ data: suite.env['LOCI_HOME'], env: suite.env })
    try {
      const agent = await client.findAgent('Slow')
      const [run] = (await client.letta.runs.list({ agent_id: agent.id, limit: 1 })).getPaginatedItems()
      const shown = await suite.host.call('run_get', { run_id: run!.id })
      assert.equal(shown.isError, true)
      assert.match(shown.text, /The turn failed: .*no such thing/)
    } finally {
      await client.close()
    }
  })

  it('needs a message or an approval, and not both', async () => {
    const approval = { tool_call_id: 'x', approve: true }
    for (const args of [{}, { message: 'Hi', approval }]) {
      const answer = await suite.host.call('agent_send_message', { agent: 'Slow', ...args })
      assert.equal(answer.isError, true)
      assert.match(answer.text, /either message or approval/)
    }
    const none = await suite.host.call('agent_send_message', { agent: 'Slow', approval })
    assert.equal(none.isError, true)
    assert.match(none.text, /No call of Slow waits/)
  })

  it('asks the user about a call that needs approval, with its arguments', async () => {
    await guarded('Asks')
    const questions: Question[] = []
    const host = await suite.connect([], {
      onQuestion: (question) => {
        questions.push(question)
        return { action: 'accept', content: { approve: true } }
      },
    })
    suite.model.add(
      { reply: { tool_calls: [searches('call-1')] } },
      { expect: (body) => body.messages.at(-1)?.role === 'tool', reply: { text: 'Searched.' } },
    )
    const { text, structured } = await host.call('agent_send_message', { agent: 'Asks', message: 'Look' })
    assert.match(text, /^Searched\./)
    assert.equal(structured?.['status'], 'completed')
    assert.equal(questions.length, 1)
    assert.match(questions[0]!.message, /Asks wants to run conversation_search with:[^]*"query": "owls"/)
    assert.deepEqual(Object.keys(questions[0]!.requestedSchema.properties), ['approve', 'reason'])
  })

  it('denies with the reason that the user gives, and when the user declines', async () => {
    await guarded('Denied')
    const replies = [
      { action: 'accept' as const, content: { approve: false, reason: 'Not today.' } },
      { action: 'decline' as const },
    ]
    const host = await suite.connect([], { onQuestion: () => replies.shift()! })
    for (const words of [/Not today\./, /The user declined\./]) {
      suite.model.add(
        { reply: { tool_calls: [searches('call-1')] } },
        {
          expect: (body) => words.test(JSON.stringify(body.messages.at(-1))),
          reply: { text: 'As you wish.' },
        },
      )
      const { text } = await host.call('agent_send_message', { agent: 'Denied', message: 'Look' })
      // What was denied was not used.
      assert.equal(text, 'As you wish.')
    }
  })

  it('leaves a call waiting when the user does not answer, and never sends the message twice', async () => {
    await guarded('Left')
    const host = await suite.connect([], { onQuestion: () => ({ action: 'cancel' }) })
    suite.model.add({ reply: { tool_calls: [searches('call-1')] } })
    const left = await host.call('agent_send_message', { agent: 'Left', message: 'Look' })
    assert.equal(left.structured?.['status'], 'waiting_for_approval')
    assert.match(left.text, /waits for approval of:\n- conversation_search\(.*owls.*tool_call_id: "call-1"/)
    const blocked = await host.call('agent_send_message', { agent: 'Left', message: 'Another' })
    assert.equal(blocked.isError, true)
    assert.match(blocked.text, /waits for an approval, and your message was not sent/)
    assert.match((await host.call('agent_get', { agent: 'Left' })).text, /tool_call_id: "call-1"/)
    suite.model.add({ reply: { text: 'Went on.' } })
    const approval = { tool_call_id: 'call-1', approve: true }
    assert.match((await host.call('agent_send_message', { agent: 'Left', approval })).text, /^Went on\./)
  })

  it('says how to approve where the host cannot ask, and takes the answer', async () => {
    await guarded('Told')
    suite.model.add({ reply: { tool_calls: [searches('call-1')] } })
    const waits = await suite.host.call('agent_send_message', { agent: 'Told', message: 'Look' })
    assert.equal(waits.isError, false)
    assert.match(
      waits.text,
      /call agent_send_message with agent: "Told", approval: \{"tool_call_id": "call-1", "approve": true\}/,
    )
    assert.deepEqual(waits.structured?.['approvals'], [
      { tool_call_id: 'call-1', tool: 'conversation_search', arguments: '{"query":"owls"}' },
    ])
    const approve = (tool_call_id: string) =>
      suite.host.call('agent_send_message', { agent: 'Told', approval: { tool_call_id, approve: true } })
    const wrong = await approve('call-2')
    assert.equal(wrong.isError, true)
    assert.match(wrong.text, /No call 'call-2' of Told waits\. Did you mean 'call-1'\?/)
    suite.model.add({ reply: { text: 'Thanks.' } })
    assert.match((await approve('call-1')).text, /^Thanks\./)
  })

  it('goes on when each of several calls is decided', async () => {
    await guarded('Many')
    suite.model.add({ reply: { tool_calls: [searches('call-1'), searches('call-2', 'mice')] } })
    await suite.host.call('agent_send_message', { agent: 'Many', message: 'Look' })
    const decide = (approval: object) => suite.host.call('agent_send_message', { agent: 'Many', approval })
    const first = await decide({ tool_call_id: 'call-1', approve: true })
    assert.equal(first.structured?.['status'], 'waiting_for_approval')
    assert.match(first.text, /call-2/)
    assert.doesNotMatch(first.text, /call-1/)
    suite.model.add({ reply: { text: 'Both decided.' } })
    assert.match((await decide({ tool_call_id: 'call-2', approve: false, reason: 'No mice.' })).text, /^Both/)
    suite.model.add({ reply: { tool_calls: [searches('call-3'), searches('call-4')] } })
    await suite.host.call('agent_send_message', { agent: 'Many', message: 'Again' })
    suite.model.add({ reply: { text: 'None of them.' } })
    assert.match((await decide({ approve: false })).text, /^None/)
  })

  it('shows what it did in full when asked', async () => {
    suite.model.add(
      {
        reply: {
          tool_calls: [{ name: 'memory_insert', arguments: { label: 'human', new_string: 'Ada' }, id: 'c' }],
        },
      },
      { reply: { text: 'Noted.' } },
    )
    const args = { agent: 'Slow', message: 'My name is Ada', detail: 'full' }
    const { text, structured } = await suite.host.call('agent_send_message', args)
    assert.match(text, /\[memory_insert\] \{.*"new_string":"Ada".*\}\nanswered: [^]*Noted\./)
    const again = await suite.host.call('run_get', { run_id: structured?.['run_id'], detail: 'full' })
    assert.equal(again.text, text)
  })

  it('keeps sixty calls at once apart', async () => {
    const texts = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        suite.host.call('archival_insert', { agent: 'Slow', text: `Number ${i}.` }).then(({ text }) => text),
      ),
    )
    assert.ok(texts.every((text) => text.startsWith('Stored for Slow')))
    const all = await eventually('all passages', async () => {
      const { text } = await suite.host.call('archival_search', { agent: 'Slow', limit: 50 })
      return text.split('\n').length === 51 ? text : null
    })
    assert.match(all, /More: call archival_search again/)
  })
})

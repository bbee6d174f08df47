import assert from 'node:assert/strict'
import { eventually, SCRIPTED, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { openSocket } from '../support/web-socket.ts'

/** What clients of the WebSocket server before V1 send: no ids, one turn after the other, agents by name or id. */
describe('older clients over a WebSocket', () => {
  let t: TestLoci
  let model: ScriptedModel
  before(async () => {
    model = await startScriptedModel()
    t = await startLoci({ model_url: model.url })
  })
  after(async () => {
    await t.close()
    await model.done()
    await model.close()
    assert.deepEqual(t.failures, [])
  })

  it('make an agent, and talk to it by its name', async () => {
    const socket = await openSocket(t.url)
    const config = { name: 'agent_26', persona: 'sam', human: 'a student', model: SCRIPTED }
    socket.send({ type: 'command', command: 'create_agent', config })
    const made = await socket.frame('the answer', ({ type }) => type === 'command_response')
    assert.equal((made as { status?: unknown }).status, 'OK: Agent initialized')

    const call = { name: 'conversation_search', arguments: { query: 'x' }, id: 'call-1' }
    model.add({ reply: { tool_calls: [call] } }, { reply: { text: 'hello' } }, { reply: { text: 'again' } })
    socket.send({ type: 'user_message', message: 'hi', agent_id: 'agent_26' })
    socket.send({ type: 'user_message', message: 'and', agent_id: 'agent_26' })
    const ends = () => socket.frames.filter(({ type }) => type === 'agent_response_end').length
    await eventually('the end of both', () => (ends() === 2 ? true : null))
    const shown = socket.frames
      .slice(2)
      .map((frame) => frame as { type: string; message_type?: string; message?: string })
      .filter(({ type }) => type.startsWith('agent_'))
      .map(({ type, message_type, message }) => `${message_type ?? type}: ${message?.split('(', 1)[0] ?? ''}`)
    assert.deepEqual(
      shown.map((text) => text.replace(/Success: .*/s, 'Success')),
      [
        'agent_response_start: ',
        'function_message: Running conversation_search',
        'function_message: Success',
        'assistant_message: hello',
        'agent_response_end: ',
        'agent_response_start: ',
        'assistant_message: again',
        'agent_response_end: ',
      ],
    )
    await socket.close()
  })

  it('have a socket for each agent, on which messages name none', async () => {
    const agent = await t.letta.agents.create({ model: SCRIPTED })
    const socket = await openSocket(t.url, { path: `/v1/agents/${agent.id}/ws` })
    model.add({ reply: { text: 'here' } })
    socket.send({ type: 'user_message', message: 'hi' })
    await socket.frame('the end', ({ type }) => type === 'agent_response_end')
    assert.ok(socket.frames.some((frame) => 'message' in frame && frame.message === 'here'))
    await socket.close()
  })

  it('are told in their words what is wrong', async () => {
    const socket = await openSocket(t.url)
    socket.send({ type: 'user_message', message: 'hi' })
    await socket.frame('no agent', (frame) => /not specified/.test(JSON.stringify(frame)))
    socket.send({ type: 'user_message', message: 'hi', agent_id: 'nobody' })
    await socket.frame('an unknown agent', (frame) =>
      /server.user_message failed with: NOT_FOUND: There is no agent 'nobody'/.test(JSON.stringify(frame)),
    )
    socket.send({ type: 'user_message', agent_id: 'nobody' })
    await socket.frame('no message', ({ type }) => type === 'server_error')
    socket.send({ type: 'command', command: 'drop_all' })
    await socket.frame('no command', (frame) => /"server_error".*command/.test(JSON.stringify(frame)))
    socket.send({ type: 'command', command: 'create_agent', config: { name: '', model: 'none/none' } })
    await socket.frame('no agent', (frame) => /Error: Failed to init agent/.test(JSON.stringify(frame)))
    await socket.close()
  })
})

import assert from 'node:assert/strict'
import {
  changedCompactionSettings,
  newCompactionSettings,
} from '../../shared/core/context/compaction-settings.ts'
import { defaultPrompt } from '../../shared/core/context/compaction-prompts.ts'
import { cutPoints, pendingFrom, unansweredFrom } from '../../shared/core/context/cuts.ts'
import { extractSummary } from '../../shared/core/context/extract.ts'
import { countTokens } from '../../shared/core/context/tokens.ts'
import { transcript } from '../../shared/core/context/transcript.ts'
import { COMPACTION_MODES } from '../../shared/schema/compaction.ts'
import type { StoredMessage } from '../../shared/schema/message.ts'
import { aCall, aMessage, aReturn } from '../contracts/store/samples.ts'
import { randomOf } from '../reliability/random.ts'

const A = 'agent-1'
const system = aMessage(A, 'system', 'You remember.')
const user = (text: string, more: Partial<StoredMessage> = {}) => aMessage(A, 'user', text, more)
const said = (text: string) => aMessage(A, 'assistant', text)
const request = (...ids: string[]): StoredMessage => ({ ...aCall(A, ...ids), role: 'approval' })

describe('where a context may be cut', () => {
  it('before what the agent says or does, never before its first message', () => {
    const context = [system, user('a'), said('A'), user('b'), aCall(A, 'c'), aReturn(A, 'c', 'r'), said('B')]
    assert.deepEqual(cutPoints(context), [2, 4, 6])
    assert.deepEqual(cutPoints([system, said('hello')]), [])
  })

  it('not between calls of one answer and their returns, in one message or in several', () => {
    const context = [
      system,
      user('a'),
      aCall(A, '1', '2'),
      aReturn(A, '1', 'r'),
      aReturn(A, '2', 'r'),
      said('A'),
    ]
    assert.deepEqual(cutPoints(context), [2, 5])
  })

  it('not inside a step that waits for an approval, of which all stays', () => {
    const step = { step_id: 'step-1' }
    const waiting = [
      { ...said('I ask.'), ...step },
      { ...request('x'), ...step },
    ]
    const context = [system, user('a'), said('A'), user('b'), ...waiting]
    assert.deepEqual(cutPoints(context), [2, 4])
    assert.equal(pendingFrom(context), 4)
    assert.equal(pendingFrom(context.slice(0, 4)), 4)
    const decided = [...context, aMessage(A, 'approval', ''), aReturn(A, 'x', 'done')]
    assert.equal(pendingFrom(decided), decided.length)
  })

  it('and input that nobody answered stays, of one run when it is named', () => {
    const context = [
      system,
      user('a'),
      said('A'),
      user('b', { run_id: 'run-1' }),
      user('c', { run_id: 'run-2' }),
    ]
    assert.equal(unansweredFrom(context), 3)
    assert.equal(unansweredFrom(context, 'run-2'), 4)
    assert.equal(unansweredFrom([system]), 1)
    assert.equal(unansweredFrom([system, user('a')]), 1)
  })

  it('leaves no call without its return on either side, for any conversation', () => {
    const random = randomOf(7)
    for (let n = 0; n < 300; n++) {
      const context: StoredMessage[] = [system]
      for (let i = 0; context.length < 30; i++) {
        const kind = random()
        if (kind < 0.35) context.push(user(`q${i}`))
        else if (kind < 0.6) context.push(said(`a${i}`))
        else {
          const ids = kind < 0.8 ? [`c${i}`] : [`c${i}`, `d${i}`]
          const waits = kind > 0.92
          const asked = waits ? request(...ids) : aCall(A, ...ids)
          context.push({ ...asked, step_id: `step-${i}` })
          if (waits) context.push(aMessage(A, 'approval', ''))
          for (const id of ids) context.push(aReturn(A, id, 'r'))
        }
      }
      for (const cut of cutPoints(context)) {
        const calls = (part: StoredMessage[]) => part.flatMap((m) => m.tool_calls.map((c) => c.id))
        const returns = (part: StoredMessage[]) =>
          part.flatMap((m) => m.tool_returns.map((r) => r.tool_call_id))
        const kept = context.slice(cut)
        assert.deepEqual(returns(kept), calls(kept), `seed 7, conversation ${n}, cut at ${cut}`)
      }
    }
  })
})

describe('a summary without a model', () => {
  const talk = [
    user('My name is Ada and I live in London.'),
    said('Nice to meet you.'),
    aCall(A, 'c'),
    aReturn(A, 'c', 'x'.repeat(5000)),
    ...Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? user(`Question ${i}`) : said(`Answer ${i}`))),
  ]

  it('says who said what, clips tool returns, keeps the beginning and the end, and is the same each time', () => {
    const text = extractSummary(talk, 600)
    assert.match(text, /^No model could write this summary/)
    assert.match(text, /user: My name is Ada and I live in London\./)
    assert.match(text, /assistant calls look: \{\}/)
    assert.match(text, /tool look returned: x{160}\.\.\. \[truncated 4840 chars\]/)
    assert.match(text, /\[… \d+ entries left out …\]/)
    assert.match(text, /Answer 199$/)
    assert.ok(countTokens(text) < 660, String(countTokens(text)))
    assert.equal(extractSummary(talk, 600), text)
  })

  it('carries an earlier summary on, without its frame', () => {
    const first = extractSummary(talk, 400)
    const packed = JSON.stringify({ type: 'system_alert', message: first, time: 'now' })
    const again = extractSummary([aMessage(A, 'summary', packed), user('And now?'), said('Fine.')], 400)
    assert.equal(again.split('No model could').length, 2)
    assert.match(again, /Before:\n(.*\n)*user: My name is Ada/)
    assert.match(again, /assistant: Fine\.$/)
  })

  it('fits any room, whatever one message is', () => {
    for (const giant of ['word '.repeat(200_000), '好'.repeat(100_000), '{"a":'.repeat(100_000)])
      for (const room of [60, 300, 2000])
        assert.ok(countTokens(extractSummary([user(giant), said('ok')], room)) <= room * 1.2 + 40)
  })
})

describe('the transcript for a summariser', () => {
  it('shows everything when there is room, and clips tool returns before it leaves messages out', async () => {
    const messages = [user('Find it'), aCall(A, 'c'), aReturn(A, 'c', 'found '.repeat(2000)), said('Here.')]
    assert.equal(
      await transcript(messages, 1e6),
      `user: Find it\nassistant calls look: {}\ntool look returned: ${'found '.repeat(2000)}\nassistant: Here.`,
    )
    const short = await transcript(messages, 500)
    assert.match(
      short,
      /found \.\.\. \[truncated \d+ chars\]|found?\.\.\. \[truncated|\[truncated \d+ chars\]/,
    )
    assert.match(short, /^user: Find it\n[^]*assistant: Here\.$/)
    assert.ok(countTokens(short) <= 500)
  })

  it('leaves out the middle when nothing else helps', async () => {
    const messages = Array.from({ length: 500 }, (_, i) => user(`Line ${i} of many`))
    const short = await transcript(messages, 300)
    assert.match(short, /^user: Line 0 of many\n/)
    assert.match(short, /\[… \d+ entries left out …\]/)
    assert.match(short, /Line 499 of many$/)
    assert.ok(countTokens(short) <= 320)
  })
})

describe('compaction settings', () => {
  const openai = { provider_name: 'openai', handle: 'openai/gpt-5' }
  const local = { provider_name: 'ollama', handle: 'ollama/qwen' }

  it('are whole at first: a cheap model of the provider, else the own one', () => {
    assert.deepEqual(newCompactionSettings(null, openai), {
      mode: 'sliding_window',
      model: 'openai/gpt-5-mini',
      model_settings: null,
      prompt: defaultPrompt('sliding_window'),
      prompt_acknowledgement: false,
      clip_chars: 50_000,
      sliding_window_percentage: 0.3,
    })
    assert.equal(newCompactionSettings({ mode: 'all' }, local).model, 'ollama/qwen')
    assert.equal(newCompactionSettings({ mode: 'all' }, local).prompt, defaultPrompt('all'))
  })

  it('merge; a new mode brings its prompt, a new provider its summariser unless one was chosen', () => {
    const same = { before: openai, now: openai }
    const first = newCompactionSettings({ prompt: 'Mine.' }, openai)
    assert.equal(changedCompactionSettings(first, { clip_chars: 10 }, same).prompt, 'Mine.')
    const all = changedCompactionSettings(first, { mode: 'all' }, same)
    assert.deepEqual([all.mode, all.prompt], ['all', defaultPrompt('all')])
    const both = changedCompactionSettings(first, { mode: 'all', prompt: 'Other.' }, same)
    assert.equal(both.prompt, 'Other.')
    const moved = { before: openai, now: local }
    assert.equal(changedCompactionSettings(first, null, moved).model, 'ollama/qwen')
    const chosen = newCompactionSettings({ model: 'groq/small' }, openai)
    assert.equal(changedCompactionSettings(chosen, null, moved).model, 'groq/small')
  })

  it('have a prompt for every mode, and no two alike', () => {
    assert.equal(new Set(COMPACTION_MODES.map(defaultPrompt)).size, COMPACTION_MODES.length)
  })
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ContextMeter } from '../../shared/core/context/meter.ts'
import { countTokens } from '../../shared/core/context/tokens.ts'
import { tokensOf } from '../../shared/core/context/message-tokens.ts'
import { systemMessage, toolMessage, assistantMessage, inputMessage } from '../../shared/core/messages.ts'
import type { ContextUsage } from '../../shared/core/ports/compaction-store.ts'
import type { StoredMessage } from '../../shared/schema/message.ts'

const place = { agent_id: 'agent-1', conversation_id: 'agent-1', run_id: null, step_id: null }
const now = new Date('2026-01-01T00:00:00Z')
const root = join(import.meta.dirname, '..', '..')
const prose = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
const code = readFileSync(join(root, 'shared/core/active-runs.ts'), 'utf8')
const json = readFileSync(join(root, 'package.json'), 'utf8')
const chinese =
  '本项目为开发者在编辑器中提供有状态的智能体：它们保留自己的记忆块、可搜索的历史记录和工具。用户昨天告诉我，他喜欢在周末去爬山，并且正在学习弹钢琴。'
const russian =
  'Этот проект даёт разработчику агентов с состоянием прямо в редакторе: у них есть собственные блоки памяти, история с поиском и инструменты. '

/**
 * Stands for a provider's tokenizer: pieces as real ones split them, words in parts of this many bytes. Not ours: it
 * knows bytes, ours kinds of characters.
 */
function tokenizer(bytes: { ascii: number; other: number }) {
  const pieces = /\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]{1,3}|\s*\n|\s+(?=\S)/gu
  return (text: string) => {
    let tokens = 0
    for (const [piece] of text.matchAll(pieces)) {
      const size = Buffer.byteLength(piece)
      if (piece.trim() === '') tokens += piece === ' ' ? 0 : 1
      else tokens += Math.max(1, Math.round(size / (size === piece.length ? bytes.ascii : bytes.other)))
    }
    return tokens
  }
}

/** How the provider counts a message: its texts and some for the role. */
function counted(count: (text: string) => number, messages: readonly StoredMessage[]): number {
  let tokens = 3
  for (const message of messages) {
    tokens += 3
    for (const part of message.content) if (part.type === 'text') tokens += count(part.text)
    for (const call of message.tool_calls) tokens += 10 + count(call.function.arguments)
    for (const result of message.tool_returns)
      tokens += count(
        JSON.stringify({ status: 'OK', message: result.func_response, time: now.toISOString() }),
      )
  }
  return tokens
}

const user = (text: string) => inputMessage({ role: 'user', content: text }, place, now)
const answer = (text: string) =>
  assistantMessage('message-1', [{ type: 'text', text }], [], 'test', place, now)
const usage = (prompt_tokens: number, completion_tokens: number) => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
  cached_input_tokens: null,
  cache_write_tokens: null,
  reasoning_tokens: null,
})

describe('token counts', () => {
  it('come near without any table, and grow with the text', () => {
    assert.equal(countTokens(''), 0)
    // As OpenAI's o200k_base counts them.
    const near = (text: string, tokens: number, share = 0.15) => {
      const own = countTokens(text)
      assert.ok(
        Math.abs(own - tokens) <= share * tokens,
        `${own.toFixed(1)} for ${tokens}: ${text.slice(0, 40)}`,
      )
    }
    near('The quick brown fox jumps over the lazy dog.', 10)
    near(chinese, 53, 0.2)
    near(russian, 35, 0.25)
    near('const total = items.reduce((sum, item) => sum + item.price, 0)\n'.repeat(20), 360)
  })

  it('are finite for any text, and never more than twice for twice the text', () => {
    for (const text of ['a', 'aA', '{"', ' ', '\n', '0', '好', '😀', '\ud83d']) {
      const long = countTokens(text.repeat(20_000))
      const longer = countTokens(text.repeat(40_000))
      assert.ok(long > 0 && longer >= long && longer <= 2.1 * long + 1, JSON.stringify(text))
    }
  })

  for (const { name, worst, ...bytes } of [
    { name: 'a model of today', ascii: 5, other: 4, worst: 0.05 },
    // A script that was not seen before comes as a surprise where it takes many more tokens than elsewhere.
    { name: 'a model with an old vocabulary', ascii: 3.6, other: 3, worst: 0.1 },
  ])
    it(`are within 5 % of what ${name} counts after the first step, for mixed texts`, () => {
      const count = tokenizer(bytes)
      const errors: number[] = []
      const texts = [prose, code, chinese.repeat(6), json, russian.repeat(6), `${chinese}\n${code}`]
      for (const [i, system] of [prose, `${prose}\n${chinese.repeat(4)}`, code].entries()) {
        const context: StoredMessage[] = [systemMessage(system, place, now)]
        let known: ContextUsage | null = null
        for (let step = 0; step < 24; step++) {
          const input = user(texts[(i + step) % texts.length]!.slice(0, 1500 + 97 * step))
          context.push(input)
          const meter: ContextMeter = new ContextMeter('p/m', known, [input], {
            fixed: () => tokensOf(context.slice(0, 1)),
            messages: () => context.slice(1),
            max_return_chars: Infinity,
          })
          const real = counted(count, context)
          const off = Math.abs(meter.tokens - real) / real
          if (step > 0) errors.push(off)
          assert.ok(
            step === 0 || off < worst,
            `step ${step}: ${meter.tokens} for ${real} (${off.toFixed(3)})`,
          )
          const said = answer(prose.slice(0, 700))
          meter.answered(usage(real, count(prose.slice(0, 700))), [said])
          context.push(said)
          known = meter.usage
        }
      }
      const sorted = errors.toSorted((a, b) => a - b)
      assert.ok(sorted[Math.floor(0.95 * sorted.length)]! < 0.05)
    })

  it('of a whole context are made only when it has grown by a quarter', () => {
    const context = [systemMessage(prose, place, now)]
    let known: ContextUsage | null = null
    let whole = 0
    for (let step = 0; step < 400; step++) {
      const input = user(code.slice(0, 2000))
      context.push(input)
      const meter: ContextMeter = new ContextMeter('p/m', known, [input], {
        fixed: () => {
          whole++
          return tokensOf(context.slice(0, 1))
        },
        messages: () => context.slice(1),
        max_return_chars: Infinity,
      })
      meter.answered(usage(1000 + 600 * step, 10), [answer('ok')])
      context.push(answer('ok'))
      known = meter.usage
    }
    assert.ok(whole > 5 && whole < 40, `${whole} times in 400 steps`)
  })

  it('stay estimates for a model that reports no usage, and forget another model', () => {
    const context = [systemMessage(prose, place, now), user(code)]
    const metered = {
      fixed: () => tokensOf(context.slice(0, 1)),
      messages: () => context.slice(1),
      max_return_chars: Infinity,
    }
    const meter = new ContextMeter(
      'p/silent',
      { model: 'p/m', ratio: 2, compared: 9, tokens: 77 },
      [],
      metered,
    )
    const before = meter.tokens
    assert.equal(before, Math.round(tokensOf(context)))
    meter.answered(null, [answer('a few more words')])
    assert.ok(meter.tokens > before && meter.tokens < before + 30)
    assert.equal(meter.usage.ratio, 1)
  })

  it('do not believe a provider whose count cannot be', () => {
    const context = [systemMessage(prose, place, now), user(code)]
    const metered = {
      fixed: () => tokensOf(context.slice(0, 1)),
      messages: () => context.slice(1),
      max_return_chars: Infinity,
    }
    const meter = new ContextMeter('p/m', null, [], metered)
    meter.answered(usage(1, 1), [])
    assert.equal(meter.usage.ratio, 1)
  })

  it('clip tool returns where the model is shown them clipped', () => {
    const returned = (text: string) =>
      toolMessage([{ tool_call_id: 'c', name: 'look', status: 'success', func_response: text }], place, now)
    const clipped = tokensOf([returned(code.repeat(10))], 5000)
    assert.ok(clipped < 2 * tokensOf([returned(code.slice(0, 5000))]))
  })
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { inspect } from 'node:util'
import { maskResult, maskText } from '../../shared/core/tools/mask.ts'

const SECRETS = {
  KEY: '-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQEF\n-----END KEY-----\n',
  ODD: 'p"ss\\wörd-€-𝄞-12345678',
  QUOTES: `it's "so" \`here\`\t\u001b[0m`,
  URL: 'https://u:pw@h/x y?z=1&k',
  PLAIN: 'plain-secret-0123456789abcdef',
  SHORT: 'short',
}
/** Pieces that are in no text that was masked. */
const PIECES = ['MIIEvQ', 'kqhkiG', '12345678', '𝄞', 'so\\"', 'here', 'pw@h', 'pw%40h', 'y?z', 'plain-']

function assertMasked(text: string, what: string): void {
  const masked = maskText(text, SECRETS)
  assert.deepEqual(
    PIECES.filter((piece) => masked.includes(piece)),
    [],
    `${what}: ${masked}`,
  )
}

describe('the values of secrets', () => {
  it('are masked as they are, and as JavaScript writes them', () => {
    for (const [name, value] of Object.entries(SECRETS)) {
      if (name === 'SHORT') continue
      for (const [what, text] of Object.entries({
        raw: value,
        json: JSON.stringify({ value }),
        'json in json': JSON.stringify({ error: JSON.stringify([value]) }),
        inspect: inspect(value),
        'in an object': inspect({ a: { value } }),
        'in a long object': inspect({ value: [value, value, value.repeat(3)] }),
        address: `https://h/?q=${encodeURIComponent(value)}`,
        form: new URLSearchParams({ value }).toString().toLowerCase(),
        error: String(new Error(`no: ${value}`).stack),
        'lines apart': value.split('\n').join('\n> '),
      }))
        assertMasked(text, `${name}, ${what}`)
    }
  })

  it('are masked as Python writes them', function () {
    const script = `import json, sys, urllib.parse
for v in json.load(sys.stdin).values():
    for text in (v, repr(v), ascii(v), json.dumps({"r": [v]}), json.dumps(json.dumps(v)), str([v]), str(KeyError(v)), repr({v: (v, "x'")}),
                 urllib.parse.quote(v), urllib.parse.quote_plus(v), json.dumps(v, ensure_ascii=False), json.dumps(repr(v))):
        print(json.dumps(text))`
    let printed
    try {
      const { SHORT: _, ...long } = SECRETS
      printed = execFileSync('python3', ['-I', '-c', script], {
        input: JSON.stringify(long),
        encoding: 'utf8',
      })
    } catch (error) {
      if (process.env['CI'] || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return this.skip()
    }
    for (const line of printed.trim().split('\n')) assertMasked(JSON.parse(line) as string, line)
  })

  it('are masked over lines that a tool has printed', () => {
    const printed = `before\n${SECRETS.KEY}after`.split('\n')
    const { stdout, stderr, func_response } = maskResult(
      { status: 'success', func_response: 'fine', stdout: printed, stderr: printed },
      SECRETS,
    )
    assert.deepEqual(
      [stdout, stderr, func_response],
      [['before', '***KEY***after'], ['before', '***KEY***after'], 'fine'],
    )
  })

  it('are masked up to where a text was cut', () => {
    for (let length = 4; length < SECRETS.PLAIN.length; length++) {
      const part = SECRETS.PLAIN.slice(0, length)
      assert.equal(maskText(`said: ${part}…`, SECRETS), 'said: ***PLAIN***…')
      assert.equal(
        maskText(`said: ${part}\n[output cut after 256 KB]`, SECRETS),
        'said: ***PLAIN***\n[output cut after 256 KB]',
      )
    }
    assert.equal(maskText('said: plain-secret', SECRETS), 'said: plain-secret')
  })

  it('leave a text that has none, or only short ones, as it is', () => {
    const text = 'a short text… with "quotes", \\ and\nlines'
    assert.equal(maskText(text, SECRETS), text)
    assert.equal(maskText('', SECRETS), '')
  })

  it('do not hold up anybody, however long they and the texts are', () => {
    const long = { A: 'a'.repeat(100_000), B: `${'\\'.repeat(50_000)}x`, C: 'line of it\n'.repeat(9000) }
    const begun = performance.now()
    for (const text of ['a'.repeat(99_999) + '…', '\\'.repeat(262_144) + '…', 'line of it…\n'.repeat(20_000)])
      maskText(text, long)
    const took = performance.now() - begun
    assert.ok(took < 5000, `${took} ms`)
  })
})

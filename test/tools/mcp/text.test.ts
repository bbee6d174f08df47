import assert from 'node:assert/strict'
import { cleanText } from '../../../shared/tools/mcp/clean-text.ts'
import { messageProblem } from '../../../shared/tools/mcp/message-guard.ts'
import { fillIn } from '../../../shared/tools/mcp/templates.ts'

describe('secrets in a configuration', () => {
  const http = {
    mcp_server_type: 'streamable_http' as const,
    server_url: 'https://example.com/{{ KEPT }}',
    auth_header: null,
    auth_token: '{{KEY}}',
    custom_headers: { a: 'x {{ A | b c }} {{ KEY }}', plain: '{ not } {{ }} {{1}}' },
  }
  it('are filled in, with defaults for what is not there', () => {
    assert.deepEqual(fillIn('s', http, { KEY: '$& {{ A }}' }), {
      ...http,
      auth_token: '$& {{ A }}',
      custom_headers: { a: 'x b c $& {{ A }}', plain: '{ not } {{ }} {{1}}' },
    })
  })
  it('are asked for by name', () => {
    assert.throws(() => fillIn('s', http, {}), /The MCP server 's' needs the secret 'KEY' of the agent/)
    assert.throws(
      () => fillIn('s', { ...http, auth_token: '{{ constructor }}' }, { KEY: 'k' }),
      /'constructor'/,
    )
  })
})

describe('what a server may send', () => {
  it('is looked at before it is parsed', () => {
    const problem = (text: string) => messageProblem(Buffer.from(text))
    assert.match(problem(`${'['.repeat(5000)}${']'.repeat(5000)}`) ?? '', /nested more than 100 deep/)
    assert.match(problem(`[${'0,'.repeat(300_000)}0]`) ?? '', /more than 200000 values/)
    assert.match(problem(`{${'"a":1,'.repeat(300_000)}"b":2}`) ?? '', /values/)
    assert.equal(problem(JSON.stringify({ a: '[{,'.repeat(500_000) })), null, 'text is one value')
    assert.equal(problem(JSON.stringify({ a: `${'\\'.repeat(50_001)}"${'"[,'.repeat(100_000)}` })), null)
    assert.equal(problem(JSON.stringify(Array.from({ length: 1000 }, () => ({ a: [1, { b: 'c' }] })))), null)
  })

  it('is read without what cannot be seen', () => {
    assert.equal(
      cleanText('a\tb\r\nc\u0007\u009b31m\u001b[1;31md\u001b]8;;http://x\u0007e\u202ef\u2066g', 100),
      'a\tb\nc31mdefg',
    )
    assert.equal(cleanText(`hi\u{e0041}\u{e007f}\ud83d 🔑 👩‍👩‍👧`, 100), 'hi\ufffd 🔑 👩‍👩‍👧')
    assert.equal(cleanText('x'.repeat(20), 10), `${'x'.repeat(10)}… (cut)`)
  })
})

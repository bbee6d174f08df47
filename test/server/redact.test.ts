import assert from 'node:assert/strict'
import { Redactor } from '../../shared/server/redact.ts'

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P'

describe('Redactor', () => {
  const hide = (text: string) => new Redactor().hide(text)

  it('hides what looks like a key, a token or a password, wherever it stands', () => {
    for (const [text, shown] of [
      ['Incorrect API key provided: sk-proj-abcdefgh12345678.', 'Incorrect API key provided: sk-***.'],
      ['sk-ant-api03-abcdefgh12345678', 'sk-***'],
      ['loci_AbCdEfGhIjKlMnOp', 'loci_***'],
      ['ghp_abcdefghij1234567890', 'ghp_***'],
      ['github_pat_11ABCDEFG0abcdefgh', 'github_pat_***'],
      ['AIzaSyA1234567890abcdefghijk', 'AIza***'],
      ['AKIAIOSFODNN7EXAMPLE', 'AKIAIO***'],
      [`jwt ${JWT} end`, 'jwt *** end'],
      ['Authorization: Bearer abcdefgh', 'Authorization: Bearer ***'],
      ['{"authorization":"Basic dXNlcjpwYXNz"}', '{"authorization":"Basic ***"}'],
      ['X-BARE-PASSWORD: password hunter22', 'X-BARE-PASSWORD: password ***'],
      ['https://ada:hunter22@example.com/x', 'https://ada:***@example.com/x'],
      ['/x?api_key=hunter22&b=1', '/x?api_key=***&b=1'],
      ['/x?access_token=hunter22', '/x?access_token=***'],
      ['{"client_secret": "hunter22", "a": 1}', '{"client_secret": "***", "a": 1}'],
      ["{ apiKey: 'hunter22' }", "{ apiKey: '***' }"],
      ['DB_PASSWORD=hunter22 next', 'DB_PASSWORD=*** next'],
      ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----', '***'],
      ['-----BEGIN PRIVATE KEY-----\nMIIE cut', '***'],
    ] as const)
      assert.equal(hide(text), shown)
  })

  it('leaves alone what tells a reader something', () => {
    for (const text of [
      '/v1/agents/agent-00000000-0000-4000-8000-000000000001/messages',
      'This model has a maximum of 8192 tokens; prompt_tokens: 12345',
      'Error: no such table: block_tags\n    at tokenOf (file:///x/shared/server/access.ts:12:3)',
      'the key is missing or wrong',
      'https://example.com:8283/v1/token',
      'task-skeleton-0123456789',
    ])
      assert.equal(hide(text), text)
  })

  it('hides the secrets that it knows, also as they stand in addresses, and no short words', () => {
    const redactor = new Redactor()
    redactor.know(['correct horse/battery', 'test', null, undefined, ''])
    redactor.knowEnvironment({ MY_API_KEY: 'from-the-environment', HOME: '/home/somebody', X_TOKEN: 'abc' })
    assert.equal(
      redactor.hide('correct horse/battery, correct%20horse%2Fbattery, from-the-environment'),
      '***, ***, ***',
    )
    assert.equal(redactor.hide('a test in /home/somebody of abc'), 'a test in /home/somebody of abc')
  })

  it('is done soon with any text', () => {
    const hostile = [
      'token'.repeat(200_000),
      'a'.repeat(1_000_000),
      'eyJ'.repeat(300_000),
      '//'.repeat(300_000),
      'api_key='.repeat(100_000),
      '-----BEGIN PRIVATE KEY-----'.repeat(20_000),
    ]
    const began = performance.now()
    for (const text of hostile) assert.ok(hide(text).length <= 60_000)
    assert.ok(performance.now() - began < 3000)
  })
})

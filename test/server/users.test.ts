import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { DEFAULT_USER_ID } from '../../shared/schema/ids.ts'
import type { User } from '../../shared/schema/user.ts'
import { startLoci, type TestLoci } from '../support/loci.ts'

const KEY = 'the-server-s-own-key'

type Answer = { status: number; body: unknown; headers: Headers }

/** Asks with a key, as JSON. */
async function ask(
  url: string,
  key: string | null,
  [method, path]: [string, string],
  body?: unknown,
  more: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...more,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text), headers: response.headers }
}

describe('users and their keys', () => {
  let loci: TestLoci
  beforeEach(async () => {
    loci = await startLoci({ serve: { key: KEY } })
  })
  afterEach(async () => {
    const { failures } = loci
    await loci.close()
    assert.deepEqual(failures, [])
  })

  const owner = (line: [string, string], body?: unknown, more?: Record<string, string>) =>
    ask(loci.url, KEY, line, body, more)
  async function aUser(
    name: string,
    more: object = {},
  ): Promise<{ user: User; key: string; key_id: string }> {
    const made = await owner(['POST', '/v1/admin/users'], { name, ...more })
    assert.equal(made.status, 200, JSON.stringify(made.body))
    const user = made.body as User
    const { key, id } = (await owner(['POST', `/v1/admin/users/${user.id}/keys`], { name: 'laptop' }))
      .body as {
      key: string
      id: string
    }
    return { user, key, key_id: id }
  }
  const sdk = (key: string) => new Letta({ baseURL: loci.url, apiKey: key, maxRetries: 0 })

  it('have agents, tools and models of their own, over the official client', async () => {
    const [ada, kai] = [await aUser('Ada'), await aUser('Kai')]
    const agent = await sdk(ada.key).agents.create({ name: 'hers', model: 'loci/demo' })
    const answer = await sdk(ada.key).agents.messages.create(agent.id, {
      messages: [{ role: 'user', content: 'My name is Ada' }],
    })
    assert.equal(answer.stop_reason.stop_reason, 'end_turn')
    const names = async (key: string) => (await sdk(key).agents.list()).items.map(({ name }) => name)
    assert.deepEqual(await names(ada.key), ['hers'])
    assert.deepEqual(await names(kai.key), [])
    assert.deepEqual(await names(KEY), [])
    await assert.rejects(sdk(kai.key).agents.retrieve(agent.id), { status: 404 })
    await assert.rejects(sdk(KEY).agents.retrieve(agent.id), { status: 404 })
    const same = await sdk(kai.key).agents.create({
      name: 'hers',
      model: 'loci/demo',
      include_base_tools: true,
    })
    assert.notEqual(same.id, agent.id)
    assert.ok((await sdk(kai.key).tools.list()).items.length > 5)
  })

  it('are refused without a key, and with one that is wrong, revoked or expired, in the same words', async () => {
    const ada = await aUser('Ada')
    const soon = new Date(Date.now() + 400).toISOString()
    const short = (await owner(['POST', `/v1/admin/users/${ada.user.id}/keys`], { expires_at: soon }))
      .body as {
      key: string
    }
    const agents = (key: string | null) => ask(loci.url, key, ['GET', '/v1/agents/'])
    assert.equal((await agents(ada.key)).status, 200)
    assert.equal((await agents(short.key)).status, 200)
    const rotated = await owner(['POST', `/v1/admin/keys/${ada.key_id}/rotate`])
    const { key, name } = rotated.body as { key: string; name: string }
    assert.equal(name, 'laptop')
    while (Date.now() < Date.parse(soon)) await new Promise((resolve) => setTimeout(resolve, 20))
    for (const wrong of [null, 'x', `${ada.key}x`, `loci_${'A'.repeat(43)}`, ada.key, short.key]) {
      const { status, body } = await agents(wrong)
      assert.deepEqual([status, body], [401, { detail: 'Unauthorized' }], wrong ?? 'none')
    }
    assert.equal((await agents(key)).status, 200)
    await owner(['DELETE', `/v1/admin/users/${ada.user.id}`])
    assert.equal((await agents(key)).status, 401)
  })

  it('show a key once, and keep nothing of it that could be used', async () => {
    const ada = await aUser('Ada')
    const listed = await owner(['GET', `/v1/admin/users/${ada.user.id}/keys`])
    const [first] = listed.body as Record<string, unknown>[]
    assert.equal(first?.['starts_with'], ada.key.slice(0, 11))
    assert.ok(!JSON.stringify(listed.body).includes(ada.key))
    const { readFile, readdir } = await import('node:fs/promises')
    for (const file of await readdir(loci.data, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue
      const bytes = await readFile(`${file.parentPath}/${file.name}`)
      assert.ok(!bytes.includes(ada.key), file.name)
    }
  })

  it('are refused with a field that is not there, and told which they may have meant', async () => {
    const { user } = await aUser('Ada')
    const wrong: [[string, string], object, RegExp][] = [
      [
        ['POST', '/v1/admin/users'],
        { name: 'q', limits: { request_per_hour: 1 } },
        /body\.limits: there is no 'request_per_hour' here\. Did you mean 'requests_per_hour'\?/,
      ],
      [['POST', '/v1/admin/users'], { name: 'q', limits: { foo: 1 } }, /There are: 'requests_per_hour', 'ag/],
      [['POST', '/v1/admin/users'], { name: 'q', limit: {} }, /body: there is no 'limit'.*'limits'/],
      [['PATCH', `/v1/admin/users/${user.id}`], { limits: { agent: 1 } }, /'agents'/],
      [['PUT', '/v1/admin/users'], { id: user.id, roles: 'reader' }, /Did you mean 'role'/],
      [['POST', `/v1/admin/users/${user.id}/keys`], { expires: '2030-01-01T00:00:00Z' }, /'expires_at'/],
      [['POST', '/v1/admin/orgs'], { names: 'x' }, /Did you mean 'name'/],
      [['PATCH', `/v1/admin/orgs?org_id=${user.organization_id}`], { nam: 'x' }, /Did you mean 'name'/],
      [['POST', '/v1/admin/orgs'], Object.fromEntries('abcdefgh'.split('').map((x) => [x, 1])), /and 3 more/],
    ]
    for (const [line, body, expected] of wrong) {
      const answer = await owner(line, body)
      assert.equal(answer.status, 422, line.join(' '))
      assert.match((answer.body as { detail: string }).detail, expected)
    }
    const report = await owner(['GET', '/v1/admin/retention?message_days=1'])
    assert.equal(report.status, 422)
    assert.match(JSON.stringify(report.body), /Did you mean 'messages_days'/)
    const found = await owner(['GET', '/v1/admin/users'])
    assert.deepEqual(
      (found.body as User[]).map(({ name, limits }) => [name, limits]),
      [
        ['default', {}],
        ['Ada', {}],
      ],
    )
  })

  it('have names of one line that nobody else has, and are told what to do about others', async () => {
    const { user } = await aUser('Ada')
    for (const name of ['bad\nname', 'a\tb', 'red\u001b[31m', 'a\u2028b', 'x\u202egnp'])
      for (const [line, body] of [
        [['POST', '/v1/admin/users'], { name }],
        [['PATCH', `/v1/admin/users/${user.id}`], { name }],
        [['POST', '/v1/admin/orgs'], { name }],
        [['POST', `/v1/admin/users/${user.id}/keys`], { name }],
      ] as const) {
        const { status, body: said } = await owner([...line], body)
        assert.equal(status, 422, `${line.join(' ')} ${JSON.stringify(name)}`)
        assert.match(
          JSON.stringify(said),
          /body\.name: a name has no line breaks or other control characters/,
        )
      }
    const org = user.organization_id
    for (const [line, body, expected] of [
      [['POST', '/v1/admin/users'], { name: 'Ada' }, `--organization ${org}`],
      [['POST', '/v1/admin/users'], { name: 'Ada', organization_id: org }, user.id],
      [['POST', '/v1/admin/orgs'], { name: 'Ada' }, org],
      [['POST', '/v1/admin/orgs'], { name: 'default' }, 'org-00000000'],
    ] as const) {
      const { status, body: said } = await owner([...line], body)
      assert.equal(status, 409, JSON.stringify(said))
      assert.ok(JSON.stringify(said).includes(expected), JSON.stringify(said))
      assert.match(JSON.stringify(said), /choose another name/)
    }
    assert.equal(((await owner(['GET', '/v1/admin/orgs'])).body as unknown[]).length, 2)
    await owner(['DELETE', `/v1/admin/users/${user.id}`])
    assert.equal(
      (await owner(['POST', '/v1/admin/users'], { name: 'Ada', organization_id: org })).status,
      200,
    )
  })

  it('do not come back to life by the rotation of a key that was revoked', async () => {
    const { user, key_id, key } = await aUser('Ada')
    const rotate = () => owner(['POST', `/v1/admin/keys/${key_id}/rotate`])
    const both = await Promise.all([rotate(), rotate()])
    assert.deepEqual(both.map(({ status }) => status).toSorted(), [200, 409])
    const again = await rotate()
    assert.equal(again.status, 409)
    assert.match(JSON.stringify(again.body), new RegExp(`was revoked at .*make a new key of user ${user.id}`))
    const keys = (await owner(['GET', `/v1/admin/users/${user.id}/keys`])).body as { revoked_at: unknown }[]
    assert.equal(keys.filter(({ revoked_at }) => revoked_at === null).length, 1)
    assert.equal((await ask(loci.url, key, ['GET', '/v1/agents/'])).status, 401)
    assert.equal((await owner(['DELETE', `/v1/admin/keys/${key_id}`])).status, 200, 'revoked it stays')
  })

  it('do what their role lets them, and are told what it would need', async () => {
    const boss = await aUser('Boss')
    const of = (key: string) => (line: [string, string], body?: unknown) => ask(loci.url, key, line, body)
    const made = await of(boss.key)(['POST', '/v1/admin/users'], { name: 'Rea', role: 'reader' })
    const reader = made.body as User
    assert.deepEqual([made.status, reader.organization_id], [200, boss.user.organization_id])
    const { key } = (await of(boss.key)(['POST', `/v1/admin/users/${reader.id}/keys`])).body as {
      key: string
    }
    assert.equal((await of(key)(['GET', '/v1/agents/'])).status, 200)
    const refused = await of(key)(['POST', '/v1/agents/'], { name: 'x', model: 'loci/demo' })
    assert.equal(refused.status, 403)
    assert.match(JSON.stringify(refused.body), /role 'member' or 'admin'.*role 'reader'/)
    assert.equal((await of(key)(['GET', '/v1/admin/users'])).status, 403)
    for (const [line, body] of [
      [['GET', '/v1/admin/orgs'], undefined],
      [['POST', '/v1/admin/users'], { name: 'x', limits: { agents: 1e6 } }],
      [['PATCH', `/v1/admin/users/${boss.user.id}`], { limits: { agents: null } }],
      [['POST', '/v1/providers/'], { name: 'x', provider_type: 'openai', api_key: 'x' }],
    ] as const)
      assert.equal((await of(boss.key)([...line], body)).status, 403, line.join(' '))
    const elsewhere = { name: 'x', organization_id: 'org-00000000-0000-4000-8000-000000000000' }
    assert.equal((await of(boss.key)(['POST', '/v1/admin/users'], elsewhere)).status, 403)
    const other = await aUser('Other')
    for (const line of [
      ['GET', `/v1/admin/users/${other.user.id}`],
      ['DELETE', `/v1/admin/users/${other.user.id}`],
      ['GET', `/v1/admin/users/${other.user.id}/keys`],
      ['DELETE', `/v1/admin/keys/${other.key_id}`],
      ['GET', `/v1/admin/users/${DEFAULT_USER_ID}`],
    ] as [string, string][])
      assert.equal((await of(boss.key)(line)).status, 404, line.join(' '))
    assert.equal((await ask(loci.url, other.key, ['GET', '/v1/agents/'])).status, 200)
  })

  it('start no programs and read no files of the machine', async () => {
    const ada = await aUser('Ada')
    const stdio = {
      server_name: 'sh',
      config: { mcp_server_type: 'stdio', command: 'sh', args: ['-c', 'id'] },
    }
    const server = await ask(loci.url, ada.key, ['POST', '/v1/mcp-servers/'], stdio)
    assert.equal(server.status, 400, JSON.stringify(server.body))
    assert.match(JSON.stringify(server.body), /own organisation alone/)
    const source_code =
      "// loci: read /etc\nimport { readFileSync } from 'node:fs'\n/** Reads. */\nexport function look(): string { return readFileSync('/etc/hostname', 'utf8') }"
    const run = { source_code, source_type: 'typescript', args: {} }
    const ran = await ask(loci.url, ada.key, ['POST', '/v1/tools/run'], run)
    assert.match(JSON.stringify(ran.body), /files of this machine/)
  })

  it("act for others by V1's header only as the owner, or as an admin of theirs", async () => {
    const [ada, kai] = [await aUser('Ada'), await aUser('Kai')]
    const named = { user_id: ada.user.id }
    await owner(['POST', '/v1/agents/'], { name: 'for Ada', model: 'loci/demo' }, named)
    assert.deepEqual(
      (await sdk(ada.key).agents.list()).items.map(({ name }) => name),
      ['for Ada'],
    )
    assert.equal((await ask(loci.url, kai.key, ['GET', '/v1/agents/'], undefined, named)).status, 404)
    assert.equal((await ask(loci.url, ada.key, ['GET', '/v1/agents/'], undefined, named)).status, 200)
    assert.equal((await owner(['GET', '/v1/agents/'], undefined, { user_id: 'nobody' })).status, 400)
    const unknown = { user_id: 'user-00000000-0000-4000-8000-00000000abcd' }
    assert.equal((await owner(['GET', '/v1/agents/'], undefined, unknown)).status, 404)
  })

  it('are held to their limits exactly, with 50 requests at once', async () => {
    const ada = await aUser('Ada', { limits: { requests_per_hour: 30, agents: 2 } })
    const asked = () => ask(loci.url, ada.key, ['GET', '/v1/agents/'])
    // At the end of an hour the counting begins anew.
    while (3_600_000 - (Date.now() % 3_600_000) < 20_000) await new Promise((ok) => setTimeout(ok, 200))
    const answers = await Promise.all(Array.from({ length: 50 }, asked))
    const fine = answers.filter(({ status }) => status === 200)
    const late = answers.filter(({ status }) => status === 429)
    assert.deepEqual([fine.length, late.length], [30, 20])
    const left = fine.map(({ headers }) => Number(headers.get('ratelimit-remaining')))
    assert.deepEqual(
      left.toSorted((a, b) => a - b),
      Array.from({ length: 30 }, (_, i) => i),
    )
    const { headers, body } = late[0]!
    assert.ok(Number(headers.get('retry-after')) > 0)
    assert.equal(headers.get('ratelimit-limit'), '30')
    assert.match(JSON.stringify(body), /30 requests that an hour allows/)
    const raised = await owner(['PATCH', `/v1/admin/users/${ada.user.id}`], {
      limits: { requests_per_hour: null },
    })
    assert.equal(raised.status, 200)
    const create = (name: string) =>
      ask(loci.url, ada.key, ['POST', '/v1/agents/'], { name, model: 'loci/demo' })
    const made = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(create))
    assert.deepEqual(made.map(({ status }) => status).toSorted(), [200, 200, 403, 403, 403])
    assert.match(JSON.stringify(made.find(({ status }) => status === 403)?.body), /may have 2/)
    const big = new FormData()
    big.set('file', new Blob(['x'.repeat(2000)]), 'big.txt')
    await owner(['PATCH', `/v1/admin/users/${ada.user.id}`], { limits: { file_mb: 0.001 } })
    const upload = await fetch(`${loci.url}/v1/files`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ada.key}` },
      body: big,
    })
    assert.equal(upload.status, 413)
  })
})

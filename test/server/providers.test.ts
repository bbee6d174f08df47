import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'

const SECRET = 'sk-a-secret-that-nobody-may-see-0123456789'

describe('providers that users add', () => {
  let model: ScriptedModel
  let bad: Server
  let bad_url: string
  let data: string
  let t: TestLoci
  let other: TestLoci
  before(async () => {
    model = await startScriptedModel([])
    bad = createServer((request, response) => {
      if (request.url?.startsWith('/hang')) return
      response.statusCode = request.url?.startsWith('/key') ? 401 : 500
      response.end(`wrong key: ${request.headers.authorization}`)
    })
    await new Promise<void>((resolve) => bad.listen(0, '127.0.0.1', resolve))
    bad_url = `http://127.0.0.1:${(bad.address() as AddressInfo).port}`
    data = await mkdtemp(join(tmpdir(), 'loci-providers-'))
    const env = { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: model.url }
    t = await startLoci({ data, env })
    other = await startLoci({ data, env })
  })
  after(async () => {
    await t?.close()
    await other?.close()
    bad.closeAllConnections()
    bad.close()
    await model.close()
    await rm(data, { recursive: true, force: true })
  })

  const create = async (name: string, more: object = {}) =>
    t.http('POST', '/v1/providers/', {
      name,
      provider_type: 'openai',
      api_key: SECRET,
      base_url: model.url,
      ...more,
    })
  const detailOf = ({ body }: { body: unknown }) => (body as { detail: string }).detail

  it('serve their models at once, in every instance, until they are deleted', async () => {
    const { status, body } = await create('mine')
    assert.equal(status, 200)
    for (const instance of [t, other]) {
      const agent = await instance.letta.agents.create({ model: 'mine/test-model' })
      model.add({ reply: { text: 'Hello.' } })
      await instance.letta.agents.messages.create(agent.id, { input: 'Hi' })
      assert.equal(model.requests.at(-1)?.headers['authorization'], `Bearer ${SECRET}`)
    }
    await other.http('DELETE', `/v1/providers/${(body as { id: string }).id}`)
    for (const instance of [t, other])
      await assert.rejects(instance.letta.agents.create({ model: 'mine/test-model' }), { status: 404 })
  })

  it('keep their key in config.json alone, for this user alone', async () => {
    const made = await create('secret')
    const { id } = made.body as { id: string }
    const answers = [made, await t.http('GET', '/v1/providers/'), await t.http('GET', `/v1/providers/${id}`)]
    assert.ok(!JSON.stringify(answers.map(({ body }) => body)).includes(SECRET.slice(0, 12)))
    const file = join(data, 'config.json')
    assert.match(await readFile(file, 'utf8'), new RegExp(SECRET))
    if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o777, 0o600)
  })

  it('their check names the URL that failed, and why; the key is not repeated', async () => {
    const check = (path: string) =>
      t.http('POST', '/v1/providers/check', {
        provider_type: 'openai',
        api_key: SECRET,
        base_url: `${bad_url}/${path}`,
      })
    for (const [path, status, why] of [
      ['key', 401, /answered 401/],
      ['down', 502, /answered 500/],
      ['hang', 502, /did not answer within \d+ s/],
    ] as const) {
      const answer = await check(path)
      assert.equal(answer.status, status, path)
      assert.match(detailOf(answer), why)
      assert.ok(detailOf(answer).includes(`${bad_url}/${path}/models`))
      assert.ok(!JSON.stringify(answer.body).includes(SECRET))
    }
  }).timeout(30_000)

  it('one that hangs does not hold up the models of others', async () => {
    const { body } = await create('hanging', { base_url: `${bad_url}/hang` })
    const { id } = body as { id: string }
    const models = await t.letta.models.list()
    assert.ok(models.some(({ handle }) => handle === 'openai/test-model'))
    assert.equal((await t.http('PATCH', `/v1/providers/${id}/refresh`)).status, 502)
  }).timeout(60_000)

  it('are refused when they cannot be what they say', async () => {
    await create('taken')
    for (const [name, more, status] of [
      ['taken', {}, 409],
      ['openai', {}, 409],
      ['loci', {}, 422],
      ['a/b', {}, 422],
      ['plain', { base_url: 'not a url' }, 422],
      ['file', { base_url: 'file:///etc/passwd' }, 422],
      ['nowhere', { provider_type: 'azure', base_url: null }, 400],
      ['aws', { provider_type: 'bedrock', access_key: 'x' }, 422],
      ['env', { api_key: '${env:HOME}' }, 422],
      ['type', { provider_type: 'no-such' }, 422],
    ] as const) {
      const answer = await create(name, more)
      assert.equal(answer.status, status, `${name}: ${JSON.stringify(answer.body)}`)
    }
    const unknown = `/v1/providers/provider-${crypto.randomUUID()}`
    for (const method of ['GET', 'PATCH', 'DELETE'])
      assert.equal((await t.http(method, unknown, method === 'PATCH' ? {} : undefined)).status, 404)
    assert.equal((await t.http('POST', `${unknown}/check`)).status, 404)
    assert.equal((await t.http('PATCH', `${unknown}/refresh`)).status, 404)
  })

  it('a config.json that is broken meanwhile is reported, and what was known stays', async () => {
    await create('kept')
    const file = join(data, 'config.json')
    const good = await readFile(file, 'utf8')
    await writeFile(file, '{ "providers": [')
    const models = await t.letta.models.list()
    assert.ok(models.some(({ handle }) => handle === 'kept/test-model'))
    assert.equal(t.failures.length, 1)
    t.failures.length = 0
    assert.equal((await create('lost')).status, 500)
    assert.equal(await readFile(file, 'utf8'), '{ "providers": [')
    await writeFile(file, good)
    await eventually('the file is read again', async () =>
      (await create('again')).status === 200 ? true : null,
    )
  })
})

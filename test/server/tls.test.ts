/** HTTPS with certificates of a test's own authority. */
import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, get, type Server as TlsServer } from 'node:https'
import { connect as plain, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { listenOn } from '../../shared/server/listen.ts'
import { createHttpServer, USUAL_LIMITS } from '../../shared/server/http-server.ts'
import { followTls, readTls } from '../../shared/server/tls.ts'
import { type Certificate, createAuthority } from '../support/certificates.ts'
import { cleanEnvironment, loci, LOCI, run, start } from '../support/cli-process.ts'
import { eventually, startLoci } from '../support/loci.ts'

const authority = createAuthority()

/** A TLS connection to it, which the caller ends; rejects when there is none. */
function greet(url: string, options: { ca?: string; maxVersion?: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' } = {}) {
  const { hostname, port } = new URL(url)
  // Below 1.2 a client of today needs to lower its own guard first.
  const old =
    options.maxVersion === 'TLSv1.1' ? { minVersion: 'TLSv1' as const, ciphers: 'ALL:@SECLEVEL=0' } : {}
  return new Promise<TLSSocket>((resolve, reject) => {
    const socket: TLSSocket = connect(
      { host: hostname, port: Number(port), ca: authority.ca, ...old, ...options },
      () => resolve(socket),
    )
    socket.once('error', reject)
  })
}

async function certificateOf(url: string): Promise<PeerCertificate> {
  const socket = await greet(url)
  const certificate = socket.getPeerCertificate()
  socket.destroy()
  return certificate
}

describe('HTTPS', () => {
  let folder: string
  const files = () => ({ cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') })
  const write = async ({ cert, key }: Certificate) => {
    await writeFile(files().cert, cert)
    await writeFile(files().key, key)
  }
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loci-tls-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('serves the API to who trusts the authority, and to nobody in TLS 1.1 or in the clear', async () => {
    await write(authority.issue())
    const t = await startLoci({ serve: { tls: files(), key: 'sesame' } })
    try {
      assert.match(t.url, /^https:/)
      const socket = await greet(t.url, { maxVersion: 'TLSv1.2' })
      assert.equal(socket.getProtocol(), 'TLSv1.2')
      socket.destroy()
      await assert.rejects(
        greet(t.url, { maxVersion: 'TLSv1.1' }),
        /protocol version|unsupported protocol|TLSV1_ALERT/i,
      )
      await assert.rejects(greet(t.url, { ca: createAuthority().ca }), /certificate|issuer/i)
      await assert.rejects(fetch(`${t.url.replace('https:', 'http:')}/v1/health`))
      await assert.rejects(fetch(`${t.url}/v1/health`), 'the authority is none that everybody knows')
      const agent = new Agent({ ca: authority.ca, keepAlive: true })
      const ask = () =>
        new Promise<{ status: number | undefined; reused: boolean }>((resolve, reject) => {
          const request = get(
            `${t.url}/v1/agents/`,
            { agent, headers: { authorization: 'Bearer sesame' } },
            (answer) => {
              const { reusedSocket: reused } = request
              answer.resume().once('end', () => resolve({ status: answer.statusCode, reused }))
            },
          ).once('error', reject)
        })
      assert.deepEqual(await ask(), { status: 200, reused: false })
      assert.deepEqual(await ask(), { status: 200, reused: true })
      agent.destroy()
    } finally {
      await t.close()
    }
    assert.deepEqual(t.failures, [])
  })

  it('is not shut out by connections that never greet, nor by those that greet and ask nothing', async () => {
    await write(authority.issue())
    const t = await startLoci({ serve: { tls: files(), limits: { connections: 10 } } })
    const silent: Socket[] = []
    const health = () =>
      new Promise<number | undefined>((resolve, reject) => {
        get(`${t.url}/v1/health/`, { ca: authority.ca, agent: false }, (answer) => {
          answer.resume().once('end', () => resolve(answer.statusCode))
        }).once('error', reject)
      })
    try {
      for (let i = 0; i < 25; i++) silent.push(plain(Number(new URL(t.url).port), '127.0.0.1'))
      await Promise.all(silent.map((socket) => once(socket, 'connect')))
      assert.equal(await health(), 200)
      for (let i = 0; i < 25; i++) silent.push(await greet(t.url))
      assert.equal(await health(), 200)
    } finally {
      for (const socket of silent) socket.destroy()
      await t.close()
    }
    assert.deepEqual(t.failures, [])
  })

  it('is spoken by the official client, streams included, once it trusts the authority', async () => {
    await write(authority.issue())
    const t = await startLoci({ serve: { tls: files() } })
    const ca = join(folder, 'ca.pem')
    await writeFile(ca, authority.ca)
    const script = join(folder, 'client.mjs')
    const sdk = import.meta.resolve('@letta-ai/letta-client')
    await writeFile(
      script,
      `import Letta from ${JSON.stringify(sdk)}
       const letta = new Letta({ baseURL: process.argv[2], apiKey: null, maxRetries: 0 })
       const { id } = await letta.agents.create({ model: 'loci/demo' })
       const types = []
       for await (const chunk of await letta.agents.messages.stream(id, { input: 'hi' })) types.push(chunk.message_type)
       console.log(types.join())`,
    )
    try {
      assert.equal(typeof Letta, 'function')
      const env = { ...cleanEnvironment(folder), NODE_EXTRA_CA_CERTS: ca }
      const { code, stdout, stderr } = await run(process.execPath, [script, t.url], { env })
      assert.equal(code, 0, stderr)
      assert.match(stdout, /assistant_message.*usage_statistics/)
    } finally {
      await t.close()
    }
    assert.deepEqual(t.failures, [])
  })

  it('uses a renewed certificate without a restart, keeps the old one while the files do not fit, and says so once', async () => {
    const [first, second] = [authority.issue('first'), authority.issue('second')]
    await write(first)
    const present = await readTls(files())
    const outcomes: unknown[] = []
    const server = createHttpServer((_request, response) => void response.end('hello'), {
      limits: USUAL_LIMITS,
      tls: present,
    })
    const following = followTls(server as TlsServer, files(), {
      present,
      onOutcome: (failure) => outcomes.push(failure),
      every_ms: 20,
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const url = `https://127.0.0.1:${address.port}`
    try {
      const before = await greet(url)
      assert.equal((await certificateOf(url)).subject.CN, 'first')
      await writeFile(files().cert, second.cert)
      await eventually('the failure', () => (outcomes.length > 0 ? true : null))
      assert.match(String(outcomes[0]), /not that of the certificate/)
      assert.equal((await certificateOf(url)).subject.CN, 'first')
      await writeFile(files().key, second.key)
      await eventually('the renewal', async () =>
        (await certificateOf(url)).subject.CN === 'second' ? true : null,
      )
      assert.deepEqual(outcomes.slice(1), [null])
      assert.equal(before.destroyed, false, 'a connection that is open stays so')
      before.destroy()
    } finally {
      following.stop()
      server.close()
      server.closeAllConnections()
    }
  })

  it('says what is wrong with its files before it listens', async () => {
    const good = authority.issue()
    const serve = (cert: string, key: string) =>
      listenOn(() => Promise.resolve(new Response('')), {
        host: '127.0.0.1',
        port: 0,
        allowed_hosts: [],
        key: null,
        cors: null,
        tls: { cert, key },
      })
    await write(good)
    const { cert, key } = files()
    const garbage = join(folder, 'garbage.pem')
    await writeFile(garbage, 'no PEM')
    await assert.rejects(serve(join(folder, 'none.pem'), key), /certificate file .*none\.pem is not there/)
    await assert.rejects(serve(cert, join(folder, 'none.pem')), /key file .*none\.pem is not there/)
    await assert.rejects(serve(folder, key), /cannot be read/)
    await assert.rejects(serve(garbage, key), /garbage\.pem holds no certificate/)
    await assert.rejects(serve(cert, garbage), /garbage\.pem holds no private key/)
    await assert.rejects(serve(key, cert), /holds no certificate/)
    const other = join(folder, 'other.pem')
    await writeFile(other, authority.issue().key)
    await assert.rejects(serve(cert, other), /the key in .*other\.pem is not that of the certificate in/)
  })

  it('is what `loci server` speaks with --tls-cert and --tls-key, or as config.json says, unless --no-tls', async () => {
    await write(authority.issue())
    const { cert, key } = files()
    const env = cleanEnvironment(folder)
    const data = join(folder, 'loci')
    const begin = async (...args: string[]) => {
      const server = start(process.execPath, [LOCI, 'server', '--port', '0', ...args], env)
      const url = (await server.waitFor(/https?:\/\/127\.0\.0\.1:\d+/))[0]
      return { url, server }
    }
    const named = await begin('--tls-cert', cert, '--tls-key', key)
    assert.match(named.url, /^https:/)
    ;(await greet(named.url)).destroy()
    assert.deepEqual(await named.server.stop(), { code: 0, signal: null })
    await writeFile(
      join(data, 'config.json'),
      JSON.stringify({ server: { tls: { cert: '../cert.pem', key: '../key.pem' } } }),
      { mode: 0o600 },
    )
    const configured = await begin()
    assert.match(configured.url, /^https:/)
    await configured.server.stop()
    const plain = await begin('--no-tls')
    assert.match(plain.url, /^http:/)
    await plain.server.stop()
    const lacking = await loci(['server', '--tls-cert', cert], { env })
    assert.equal(lacking.code, 1)
    assert.match(lacking.stderr, /^loci: --tls-cert and --tls-key go together; --tls-key is missing/)
    const unreachable = await loci(
      ['server', '--host', '0.0.0.0', '--port', '0', '--tls-cert', cert, '--tls-key', key],
      { env },
    )
    assert.equal(unreachable.code, 1)
    assert.match(unreachable.stderr, /without a key/)
  })
})

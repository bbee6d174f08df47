/** A pod of deploy/kubernetes as a process of this machine: what its manifest says runs, asked as Kubernetes asks it. */
import Letta from '@letta-ai/letta-client'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { withPgVector } from '../postgres/server.ts'
import { eventually } from '../support/loci.ts'
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts'
import { DEPLOY } from './compose.ts'
import { type Instance, type Machine, SECRETS, startMachine } from './deployment.ts'
import { readManifests } from './manifests.ts'

describe('a pod of deploy/kubernetes', function () {
  this.timeout(120_000)
  let machine: Machine
  let model: ScriptedModel
  let pod: Instance
  let start: () => Promise<void>
  let { deployment, configMap } = {} as Awaited<ReturnType<typeof readManifests>>
  const container = () => {
    const [only] = deployment.spec.template.spec.containers
    assert.ok(only)
    return only
  }
  /** As the kubelet does it: any status from 200 to 399 is a yes. */
  const probe = async (name: 'startupProbe' | 'readinessProbe' | 'livenessProbe') => {
    const answer = await fetch(pod.url + container()[name].httpGet.path).catch(() => null)
    return answer !== null && answer.status >= 200 && answer.status < 400
  }

  before(async () => {
    ;({ deployment, configMap } = await readManifests())
    machine = await startMachine()
    model = await startScriptedModel([])
    const secrets: Record<string, string> = {
      ...SECRETS,
      PGPASSWORD: SECRETS.POSTGRES_PASSWORD,
      OPENAI_API_KEY: 'test',
    }
    const given = container().env.flatMap(({ name, valueFrom: { secretKeyRef, configMapKeyRef } }) => {
      const value = secretKeyRef ? secrets[secretKeyRef.key] : configMap.data[configMapKeyRef?.key ?? '']
      if (value === undefined && (secretKeyRef ?? configMapKeyRef)?.optional) return []
      assert.ok(value, `${name} has a value`)
      return [[name, value] as const]
    })
    const env = Object.fromEntries(given)
    // Hosts are other ones here, and the database of this test has no certificate.
    const store = (env['LOCI_STORE'] ?? '').replace('postgres.example:5432', machine.database_host)
    assert.ok(store.includes('sslmode=verify-full&'))
    env['LOCI_STORE'] = store.replace('sslmode=verify-full&', '')
    const config = join(machine.folder, 'config.json')
    const text = configMap.data['config.json'] ?? ''
    await writeFile(config, text.replace('https://api.openai.com/v1', model.url), { mode: 0o644 })
    const mounts = container().volumeMounts
    assert.deepEqual(
      mounts.map(({ mountPath, readOnly }) => `${mountPath}${readOnly ? ' read-only' : ''}`),
      ['/var/lib/loci', '/var/lib/loci/config.json read-only', '/tmp'],
    )
    const data = await machine.dataDirectory('pod-data')
    const options = { args: container().args, env, data, files: { '/var/lib/loci/config.json': config } }
    start = async () => {
      pod = await machine.run('pod', options)
    }
    await start()
  })
  after(async () => {
    await pod?.kill()
    await model?.close()
    await machine?.close()
  })

  it('starts, is ready, and lives', async () => {
    await eventually('the startup probe', async () => {
      if (!pod.isRunning) throw new Error(await pod.log())
      return (await probe('startupProbe')) ? true : null
    })
    assert.ok(await probe('readinessProbe'))
    assert.ok(await probe('livenessProbe'))
  })

  it('has the provider of the ConfigMap, with the key of the Secret', async () => {
    const letta = new Letta({ baseURL: pod.url, apiKey: SECRETS.LOCI_API_KEY, maxRetries: 0 })
    model.add({ reply: { text: 'Hello.' } })
    const { id } = await letta.agents.create({ model: 'openai/test-model' })
    const { messages } = await letta.agents.messages.create(id, { input: 'hi' })
    assert.match(JSON.stringify(messages), /Hello\./)
    assert.equal(model.requests[0]?.headers.authorization, 'Bearer test')
    await model.done()
  })

  it('says that the mounted config.json cannot be changed', async () => {
    const answer = await fetch(`${pod.url}/v1/providers/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRETS.LOCI_API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'other', provider_type: 'openai', api_key: 'k', base_url: model.url }),
    })
    const { detail } = (await answer.json()) as { detail: string }
    assert.equal(answer.status, 503, detail)
    assert.match(detail, /config\.json cannot be written/)
  })

  it('serves on during preStop, and then ends in good order', async () => {
    const hook = pod.check(container().lifecycle.preStop.exec.command)
    assert.ok(await probe('readinessProbe'))
    assert.equal(await hook, 0)
    pod.signal('SIGTERM')
    assert.equal(await pod.exited, 0, await pod.log())
  })

  it('finds everything again in a database that was saved and made anew, as docs/deployment.md says', async () => {
    const text = await readFile(join(DEPLOY, '..', 'docs', 'deployment.md'), 'utf8')
    const inContainer = 'docker compose exec -T postgres '
    const commands = text.split('\n').filter((line) => line.startsWith(inContainer))
    assert.equal(commands.length, 4, 'saved, dropped, made, filled')
    const socket = new URL(machine.database.address('loci'))
    const env = {
      PATH: `${withPgVector()}:/usr/bin:/bin`,
      PGHOST: socket.searchParams.get('host') ?? '',
      PGPORT: socket.port,
    }
    for (const command of commands)
      await promisify(execFile)('/bin/sh', ['-ec', command.slice(inContainer.length)], {
        cwd: machine.folder,
        env,
      })
    await start()
    await eventually('the restored database is served', async () =>
      (await probe('readinessProbe')) ? true : null,
    )
    const letta = new Letta({ baseURL: pod.url, apiKey: SECRETS.LOCI_API_KEY, maxRetries: 0 })
    const [agent, ...others] = (await letta.agents.list()).items
    assert.ok(agent && others.length === 0)
    assert.match(JSON.stringify((await letta.agents.messages.list(agent.id)).items), /Hello\./)
  })
})

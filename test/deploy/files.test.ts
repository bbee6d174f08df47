/** What can be said of the files of deploy/ without running them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { configSchema } from '../../shared/config/schema.ts'
import { DEPLOY, milliseconds, readCompose } from './compose.ts'
import { buildContext, readDockerfile } from './dockerfile.ts'
import { readManifests } from './manifests.ts'

const SECRETS = { LOCI_API_KEY: 'key', LOCI_ENCRYPTION_KEY: 'other', POSTGRES_PASSWORD: 'password' }
/** How much longer than the grace of turns an orderly end may take, in milliseconds. */
const MOMENTS_AFTER_MS = 5_000

/** A program of `.ci/install-deploy-checks.sh`. */
function check(program: string): string {
  const folder = process.env['LOCI_TEST_DEPLOY_CHECKS']
  if (folder) return join(folder, program)
  throw new Error(
    'These tests need hadolint and others: set LOCI_TEST_DEPLOY_CHECKS="$(.ci/install-deploy-checks.sh)".',
  )
}
const run = promisify(execFile)

describe('deploy/Dockerfile', () => {
  it('has nothing that hadolint finds', async () => {
    const { stdout } = await run(check('hadolint'), [join(DEPLOY, 'Dockerfile')])
    assert.equal(stdout, '')
  })

  it('builds from named files, none of them one that may hold a secret', async () => {
    const files = await buildContext()
    assert.ok(files.includes('shared') && files.includes('package-lock.json'))
    assert.deepEqual(
      files.filter((name) => /env|secret|^deploy|node_modules|^\.$/.test(name)),
      [],
    )
    const text = await readFile(join(DEPLOY, 'Dockerfile'), 'utf8')
    assert.doesNotMatch(text, /^(ARG|ENV).*(KEY|PASSWORD|TOKEN)/m)
  })

  it('pins its base, and ends as a user that is not root', async () => {
    const { uid, gid, stages } = await readDockerfile()
    assert.ok(uid >= 10_000 && gid >= 10_000)
    assert.ok(stages.every(([from]) => from?.text.startsWith('${NODE}')))
    assert.match(await readFile(join(DEPLOY, 'Dockerfile'), 'utf8'), /^ARG NODE=node:24\.\d+\.\d+-\w+-slim$/m)
  })
})

describe('deploy/compose.yaml', () => {
  it('is what the Compose specification says', async () => {
    const lines = ['import sys; from compose_spec import PyCompose', 'PyCompose.from_json(sys.argv[1])'].join(
      '\n',
    )
    const read = (file: unknown) => run(check('python'), ['-c', lines, JSON.stringify(file)])
    const file = await readCompose(SECRETS)
    await read(file)
    const wrong = structuredClone(file) as unknown as { services: Record<string, Record<string, unknown>> }
    Object.assign(wrong.services['loci-1'] ?? {}, { raed_only: true })
    await assert.rejects(read(wrong), /raed_only/)
  })

  it('does not start while a secret is missing or empty', async () => {
    for (const name of Object.keys(SECRETS)) {
      await assert.rejects(readCompose({ ...SECRETS, [name]: '' }), new RegExp(`${name}: set ${name}`))
      assert.match(await readFile(join(DEPLOY, '.env.example'), 'utf8'), new RegExp(`^${name}=$`, 'm'))
    }
  })

  it('keeps Loci and nginx to what they need', async () => {
    const { services } = await readCompose(SECRETS)
    for (const name of ['loci-1', 'loci-2', 'nginx'] as const) {
      const service = services[name]
      assert.equal(service.read_only, true)
      assert.deepEqual(service.cap_drop, ['ALL'])
      assert.deepEqual(service.security_opt, ['no-new-privileges:true'])
      assert.ok(service.tmpfs?.some((mount) => mount.startsWith('/tmp:')))
    }
    for (const service of Object.values(services)) assert.equal(service.restart, 'unless-stopped')
    assert.deepEqual(services['loci-1'], services['loci-2'])
  })

  it('starts each after what it needs, and lets each end in good order', async () => {
    const { services } = await readCompose(SECRETS)
    const { server } = configSchema.parse({})
    const needs = Object.entries(services).flatMap(([name, { depends_on = {} }]) =>
      Object.entries(depends_on).map(([other, { condition }]) => `${name}: ${other} ${condition}`),
    )
    assert.deepEqual(needs, [
      'loci-1: postgres service_healthy',
      'loci-2: postgres service_healthy',
      'nginx: loci-1 service_healthy',
      'nginx: loci-2 service_healthy',
    ])
    const grace = milliseconds(services['loci-1'].stop_grace_period ?? '')
    assert.ok(grace >= server.shutdown_grace_seconds * 1_000 + MOMENTS_AFTER_MS)
    assert.ok(milliseconds(services.nginx.stop_grace_period ?? '') >= grace)
  })

  it('leaves connections of the database free', async () => {
    const { services } = await readCompose(SECRETS)
    const max = Number(/max_connections=(\d+)/.exec(services.postgres.command?.join(' ') ?? '')?.[1])
    const pool = Number(/pool=(\d+)/.exec(services['loci-1'].environment?.['LOCI_STORE'] ?? '')?.[1])
    assert.ok(2 * (pool + 1) + 10 <= max)
  })
})

describe('deploy/kubernetes', () => {
  it('is what the schemas of Kubernetes say', async () => {
    const files = (await readdir(join(DEPLOY, 'kubernetes')))
      .filter((name) => name !== 'kustomization.yaml')
      .map((name) => join(DEPLOY, 'kubernetes', name))
    const { stdout, stderr } = await run(check('kubernetes-validate'), ['--strict', ...files])
    assert.equal((stdout + stderr).match(/ passed for resource /g)?.length, files.length)
  })

  it('lists what is there', async () => {
    const folder = join(DEPLOY, 'kubernetes')
    const text = await readFile(join(folder, 'kustomization.yaml'), 'utf8')
    const listed = (parse(text) as { resources: string[] }).resources
    const there = (await readdir(folder)).filter((name) => name !== 'kustomization.yaml')
    const chosen = ['horizontal-pod-autoscaler.yaml', 'secret.example.yaml']
    assert.deepEqual([...listed, ...chosen].toSorted(), there.toSorted())
  })

  it('runs pods as the image’s user, with a root that cannot be written and no rights', async () => {
    const { pod, container } = await deployment()
    const { uid, gid, command } = await readDockerfile()
    assert.deepEqual(pod.securityContext, {
      runAsNonRoot: true,
      runAsUser: uid,
      runAsGroup: gid,
      fsGroup: gid,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    assert.equal(pod.automountServiceAccountToken, false)
    assert.deepEqual(container.args, command)
  })

  it('gives turns the time that the configuration promises', async () => {
    const { pod, container } = await deployment()
    const manifests = await readManifests()
    const config = configSchema.parse(JSON.parse(manifests.configMap.data['config.json'] ?? ''))
    const [, seconds] = container.lifecycle.preStop.exec.command
    const needed = Number(seconds) * 1_000 + config.server.shutdown_grace_seconds * 1_000 + MOMENTS_AFTER_MS
    assert.ok(pod.terminationGracePeriodSeconds * 1_000 >= needed)
  })

  it('takes every secret from the Secret, whose example has none', async () => {
    const { container } = await deployment()
    const secrets = container.env.flatMap(({ name, valueFrom }) => (valueFrom.secretKeyRef ? [name] : []))
    assert.deepEqual(secrets.toSorted(), [
      'LOCI_API_KEY',
      'LOCI_ENCRYPTION_KEY',
      'OPENAI_API_KEY',
      'PGPASSWORD',
    ])
    const example = await readFile(join(DEPLOY, 'kubernetes', 'secret.example.yaml'), 'utf8')
    assert.deepEqual((parse(example) as { stringData: object }).stringData, {})
    for (const name of secrets) assert.match(example, new RegExp(`# ${name}: `))
  })

  it('has a pod left at every moment of an update, and of a drain of nodes', async () => {
    const { spec } = await deployment()
    assert.ok(spec.replicas >= 2)
    assert.equal(spec.strategy.rollingUpdate.maxUnavailable, 0)
  })
})

async function deployment() {
  const { spec } = (await readManifests()).deployment
  const [container] = spec.template.spec.containers
  assert.ok(container)
  return { spec, pod: spec.template.spec, container }
}

/** What can be said of the files of deploy/ without running them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { BlockList, isIPv6 } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { configSchema } from '../../shared/config/schema.ts'
import { MAX_BODY, MAX_IMPORT } from '../../shared/server/body.ts'
import { openApiDocument } from '../../shared/server/openapi.ts'
import { s3Settings } from '../../shared/store/uploads/s3-settings.ts'
import { bytes, DEPLOY, milliseconds, readCompose } from './compose.ts'
import { buildContext, readDockerfile } from './dockerfile.ts'
import { type Labels, readManifest, readManifests, type Selector } from './manifests.ts'

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
/** How long a migration may take before anything gives up on it, in milliseconds. */
const MIGRATION_MS = 3_600_000
const MB = 1024 * 1024

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
    for (const service of Object.values(services)) {
      assert.equal(service.restart, 'unless-stopped')
      assert.ok(bytes(service.mem_limit ?? '') >= 256 * MB)
    }
    const buffers = /shared_buffers=(\w+)/.exec(services.postgres.command?.join(' ') ?? '')?.[1] ?? ''
    assert.ok(
      bytes(services.postgres.mem_limit ?? '') > bytes(buffers) + bytes(services.postgres.shm_size ?? ''),
    )
    const { server } = configSchema.parse({})
    assert.ok((services['loci-1'].ulimits?.nofile ?? 0) >= 2 * server.max_connections)
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
    assert.ok(milliseconds(services['loci-1'].healthcheck.start_period ?? '') >= MIGRATION_MS)
  })

  it('leaves connections of the database free', async () => {
    const { services } = await readCompose(SECRETS)
    const max = Number(/max_connections=(\d+)/.exec(services.postgres.command?.join(' ') ?? '')?.[1])
    const pool = Number(/pool=(\d+)/.exec(services['loci-1'].environment?.['LOCI_STORE'] ?? '')?.[1])
    assert.ok(2 * (pool + 1) + 10 <= max)
  })
})

describe('deploy/nginx.conf', () => {
  const conf = () => readFile(join(DEPLOY, 'nginx.conf'), 'utf8')
  const valuesOf = async (directive: string) =>
    [...(await conf()).matchAll(new RegExp(`^ *${directive} +([^;]+);`, 'gm'))].map(([, value = '']) => value)

  it('may open a file for each connection that it promises', async () => {
    const { nginx } = (await readCompose(SECRETS)).services
    const [files] = (await valuesOf('worker_rlimit_nofile')).map(Number)
    const [connections] = (await valuesOf('worker_connections')).map(Number)
    assert.ok(files && connections && files >= 2 * connections)
    assert.ok(nginx.ulimits && nginx.ulimits.nofile >= files)
  })

  it('takes as much as Loci does: files where files are taken, and JSON elsewhere', async () => {
    const [other = 0, files = 0] = (await valuesOf('client_max_body_size')).map(bytes)
    const { server } = configSchema.parse({})
    assert.ok(other > MAX_BODY && other <= MAX_BODY + 2 * MB)
    assert.ok(files > MAX_IMPORT && files > (server.max_upload_mb + 1) * MB)
    const pattern = /location ~ (\S+) \{\s+client_max_body_size/.exec(await conf())?.[1]
    assert.ok(pattern)
    const location = new RegExp(pattern)
    const { paths } = (await openApiDocument()) as { paths: Record<string, Record<string, object>> }
    const takesFiles = Object.entries(paths)
      .filter(([, methods]) => JSON.stringify(methods).includes('multipart/form-data'))
      .map(([path]) => path)
    assert.ok(takesFiles.length >= 4, takesFiles.join())
    for (const path of Object.keys(paths))
      for (const one of [path, path.replace(/^\/v1\//, '/latest/')])
        assert.equal(location.test(one), takesFiles.includes(path), one)
  })

  it('keeps no body: what Loci would refuse cannot fill its disk', async () => {
    for (const directive of ['proxy_request_buffering', 'proxy_buffering']) {
      assert.deepEqual(await valuesOf(directive), ['off'])
      // Of the server, not of a location.
      assert.match(await conf(), new RegExp(`^ {8}${directive} off;`, 'm'))
    }
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

  it('gives a migration an hour before a pod that does not listen yet is killed', async () => {
    const { spec, container } = await deployment()
    const { periodSeconds, failureThreshold } = container.startupProbe
    assert.ok(periodSeconds * failureThreshold * 1_000 >= MIGRATION_MS)
    assert.ok(spec.progressDeadlineSeconds > periodSeconds * failureThreshold)
  })

  it('lets pods out to public addresses of both kinds, and to none of the cluster', async () => {
    const { spec } = (await readManifest('network-policy.yaml')) as {
      spec: { egress: { to?: { ipBlock?: { cidr: string; except: string[] } }[] }[] }
    }
    const blocks = spec.egress.flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock ?? []))
    const allows = (address: string) => {
      const family = isIPv6(address) ? 'ipv6' : 'ipv4'
      const has = (cidr: string) => {
        const [net = '', bits] = cidr.split('/')
        if (isIPv6(net) !== isIPv6(address)) return false
        const list = new BlockList()
        list.addSubnet(net, Number(bits), family)
        return list.check(address, family)
      }
      return blocks.some(({ cidr, except }) => has(cidr) && !except.some(has))
    }
    for (const address of ['93.184.216.34', '2606:2800:220:1::1']) assert.ok(allows(address), address)
    for (const address of ['169.254.169.254', '10.96.0.1', '100.100.100.200', 'fd00:ec2::254', 'fe80::1'])
      assert.ok(!allows(address), address)
  })

  it('has examples, commented out, that are what the schemas and Loci take', async () => {
    const policy = (await readManifest('network-policy.yaml', { examples: true })) as {
      spec: { ingress: unknown[]; egress: unknown[] }
    }
    assert.equal(policy.spec.ingress.length, 2)
    assert.equal(policy.spec.egress.length, 4)
    const config = (await readManifest('config.yaml', { examples: true })) as { data: Record<string, string> }
    const { container } = await deployment()
    const folder = await mkdtemp(join(tmpdir(), 'loci-manifests-'))
    try {
      const files = Object.entries({ policy, config }).map(([name, content]) => ({
        path: join(folder, `${name}.yaml`),
        content,
      }))
      for (const { path, content } of files) await writeFile(path, stringify(content))
      await run(check('kubernetes-validate'), ['--strict', ...files.map(({ path }) => path)])
    } finally {
      await rm(folder, { recursive: true })
    }
    const keys = container.env.flatMap(({ name, valueFrom: { configMapKeyRef, secretKeyRef } }) =>
      name.startsWith('LOCI_S3_')
        ? [[name, configMapKeyRef ? config.data[configMapKeyRef.key] : secretKeyRef?.key]]
        : [],
    )
    const settings = s3Settings(
      configSchema.parse({}).storage.s3,
      Object.fromEntries(keys) as Record<string, string>,
    )
    assert.equal(settings?.bucket, 'loci-uploads')
    assert.equal(settings.access_key_id, 'LOCI_S3_ACCESS_KEY_ID')
  })

  it('takes every secret from the Secret, whose example has none, and waits for three', async () => {
    const { container } = await deployment()
    const found = container.env.filter(({ valueFrom }) => valueFrom.secretKeyRef)
    const secrets = found.map(({ name }) => name)
    const needed = found.filter(({ valueFrom }) => valueFrom.secretKeyRef?.optional !== true)
    assert.deepEqual(needed.map(({ name }) => name).toSorted(), [
      'LOCI_API_KEY',
      'LOCI_ENCRYPTION_KEY',
      'PGPASSWORD',
    ])
    assert.deepEqual(secrets.toSorted(), [
      'LOCI_API_KEY',
      'LOCI_ENCRYPTION_KEY',
      'LOCI_S3_ACCESS_KEY_ID',
      'LOCI_S3_SECRET_ACCESS_KEY',
      'OPENAI_API_KEY',
      'PGPASSWORD',
    ])
    const example = await readFile(join(DEPLOY, 'kubernetes', 'secret.example.yaml'), 'utf8')
    assert.deepEqual((parse(example) as { stringData: object }).stringData, {})
    for (const name of secrets) assert.match(example, new RegExp(`# ${name}: `))
  })

  it('has a pod left at every moment of an update, and of a drain of nodes', async () => {
    const { spec } = await deployment()
    const budget = (await readManifest('pod-disruption-budget.yaml')) as { spec: { maxUnavailable: number } }
    const scaler = (await readManifest('horizontal-pod-autoscaler.yaml')) as {
      spec: { minReplicas: number }
    }
    assert.equal(spec.strategy.rollingUpdate.maxUnavailable, 0)
    for (const fewest of [spec.replicas, scaler.spec.minReplicas])
      assert.ok(fewest - budget.spec.maxUnavailable >= 1)
    // None at all would keep nodes from ever being drained.
    assert.ok(budget.spec.maxUnavailable >= 1)
  })

  it('means the pods of the Deployment wherever pods are chosen', async () => {
    const { spec } = await deployment()
    const { labels } = spec.template.metadata
    const service = (await readManifest('service.yaml')) as { spec: { selector: Labels } }
    const budget = (await readManifest('pod-disruption-budget.yaml')) as { spec: { selector: Selector } }
    const policy = (await readManifest('network-policy.yaml')) as { spec: { podSelector: Selector } }
    const spread = spec.template.spec.topologySpreadConstraints
    assert.equal(spread.length, 2)
    const selectors = {
      Deployment: spec.selector.matchLabels,
      Service: service.spec.selector,
      PodDisruptionBudget: budget.spec.selector.matchLabels,
      NetworkPolicy: policy.spec.podSelector.matchLabels,
      ...Object.fromEntries(
        spread.map(({ topologyKey, labelSelector }) => [topologyKey, labelSelector.matchLabels]),
      ),
    }
    for (const [who, wanted] of Object.entries(selectors)) {
      assert.ok(Object.keys(wanted).length > 0, who)
      for (const [label, value] of Object.entries(wanted)) assert.equal(labels[label], value, who)
    }
    const { name } = (await readManifests()).deployment.metadata
    const scaler = (await readManifest('horizontal-pod-autoscaler.yaml')) as {
      spec: { scaleTargetRef: object }
    }
    assert.deepEqual(scaler.spec.scaleTargetRef, { apiVersion: 'apps/v1', kind: 'Deployment', name })
  })

  it('leads from the ingress to the port that Loci listens on', async () => {
    const { container } = await deployment()
    const service = (await readManifest('service.yaml')) as {
      metadata: { name: string }
      spec: { ports: { name: string; targetPort: string }[] }
    }
    const ingress = (await readManifest('ingress.yaml')) as {
      spec: { rules: { http: { paths: { backend: { service: object } }[] } }[] }
    }
    const policy = (await readManifest('network-policy.yaml')) as {
      spec: { ingress: { ports: { port: number }[] }[] }
    }
    const [port] = service.spec.ports
    const listens = container.ports.find(({ name }) => name === port?.targetPort)
    const backend = { name: service.metadata.name, port: { name: port?.name } }
    assert.deepEqual(ingress.spec.rules[0]?.http.paths[0]?.backend.service, backend)
    assert.equal(container.args.at(-1), String(listens?.containerPort))
    assert.equal(policy.spec.ingress[0]?.ports[0]?.port, listens?.containerPort)
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const)
      assert.equal(container[probe].httpGet.port, listens?.name)
  })
})

async function deployment() {
  const { spec } = (await readManifests()).deployment
  const [container] = spec.template.spec.containers
  assert.ok(container)
  return { spec, pod: spec.template.spec, container }
}

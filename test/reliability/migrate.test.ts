/**
 * `loci migrate` from a Letta V1 server, killed with kill -9 again and again: in the end everything is here as it was
 * there, once.
 *
 * LOCI_MIGRATE_AGENTS is the size: from 50 on each agent has 2,000 messages and 200 passages, below 400 and 60. LOCI_SEED
 * repeats a run.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { LOCI, cleanEnvironment, temporaryFolder } from '../support/cli-process.ts'
import { startLoci } from '../support/loci.ts'
import { assertMigrated } from '../support/v1-compare.ts'
import { type Fault, type FakeV1, startV1 } from '../support/v1-server.ts'
import { World } from '../support/v1-world.ts'
import { randomOf } from './random.ts'

const SEED = Number(process.env['LOCI_SEED'] ?? Date.now() % 1_000_000)
const AGENTS = Number(process.env['LOCI_MIGRATE_AGENTS'] ?? 5)
const BIG = AGENTS >= 50
const SIZE = { agents: AGENTS, messages: BIG ? 2000 : 400, passages: BIG ? 200 : 60 }
const KILLS = BIG ? 10 : 3
/** Of JavaScript, in MB: a migration that keeps what it reads dies of it. */
const HEAP = 120

describe(`a migration that is killed ${KILLS} times (seed ${SEED}, ${SIZE.agents} agents)`, () => {
  const random = randomOf(SEED)
  let v1: FakeV1
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let child: ChildProcess | null = null
  /** Called with each request. */
  let onRequest: () => void = () => undefined
  const world = new World(SIZE)

  before(async () => {
    folder = await temporaryFolder()
    const fault = (): Fault | null => {
      onRequest()
      const dice = random()
      if (dice < 0.01) return { status: 429, headers: { 'retry-after': '0.01' } }
      if (dice < 0.02) return { status: 503 }
      return dice < 0.025 ? 'cut' : null
    }
    v1 = await startV1(world, {
      token: 'old-password',
      fault: (n, path) => (path.includes('/health') ? null : fault()),
    })
  })
  after(async () => {
    if (child?.exitCode === null) child.kill('SIGKILL')
    await v1.close()
    await folder.remove()
  })

  /** One run of the command; killed at the request with this number, unless it ends before. */
  async function migrate(
    kill_at: number | null,
  ): Promise<{ killed: boolean; code: number | null; stdout: string; stderr: string }> {
    const args = [
      '--max-old-space-size=' + HEAP,
      LOCI,
      'migrate',
      '--from',
      v1.url,
      '--data',
      folder.path + '/loci',
      '--json',
    ]
    const env = cleanEnvironment(folder.path, { LETTA_API_KEY: 'old-password', LOCI_MIGRATE_PAUSE_MS: '5' })
    const started = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    let n = 0
    onRequest = () => {
      if (kill_at !== null && ++n === kill_at) started.kill('SIGKILL')
    }
    let stdout = ''
    let stderr = ''
    started.stdout.on('data', (piece: Buffer) => (stdout += piece.toString()))
    started.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()))
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      started.once('close', (c, s) => resolve([c, s])),
    )
    return { killed: signal === 'SIGKILL', code, stdout, stderr }
  }

  it('brings everything, once', async function () {
    this.timeout(BIG ? 3_600_000 : 240_000)
    const began = performance.now()
    // What a whole run asks for, about: two requests for each hundred of everything, and some for each agent.
    const whole = AGENTS * (SIZE.messages / 50 + SIZE.passages / 50 + 12) + 40
    let kills = 0
    for (let run = 0; kills < KILLS; run++) {
      assert.ok(run < 200, 'it ends before it can be killed')
      const at = 3 + Math.floor((whole / (KILLS + 1)) * random() * (kills + 1) * 0.7)
      const { killed, code, stderr } = await migrate(at)
      if (killed) kills++
      else assert.equal(code, 1, stderr)
      if (!killed) break
    }
    const { code, stdout, stderr } = await migrate(null)
    const minutes = (performance.now() - began) / 60_000
    // One provider's key is not told by the old server.
    assert.equal(code, 1, stderr)
    const report = JSON.parse(stdout) as {
      counts: Record<string, Record<string, number>>
      problems: { kind: string; outcome: string; reason: string }[]
      messages: { refused: number }
    }
    const refused = report.problems.filter(({ outcome }) => outcome === 'refused' || outcome === 'kept')
    assert.deepEqual(
      refused.map(({ kind }) => kind),
      ['provider'],
    )
    assert.equal(report.messages.refused, 0)
    assert.equal(kills, KILLS, 'killed as often as it was to be')
    assert.deepEqual(v1.wrong, [], 'what the server of the test answers is V1')
    const loci = await startLoci({ data: folder.path + '/loci' })
    try {
      const sum = await assertMigrated(loci.url, world)
      console.log(
        `      ${SIZE.agents} agents, ${sum.messages} messages, ${sum.passages} passages; ${kills} kills, ${v1.requests.length} requests, ${minutes.toFixed(1)} minutes`,
      )
      assert.deepEqual(loci.failures, [])
    } finally {
      await loci.close()
    }
  })

  it('brings nothing twice', async function () {
    this.timeout(BIG ? 600_000 : 60_000)
    const { stdout } = await migrate(null)
    const { counts, messages } = JSON.parse(stdout) as {
      counts: Record<string, Record<string, number>>
      messages: { added: number }
    }
    for (const [kind, { new: fresh, changed }] of Object.entries(counts))
      assert.deepEqual([kind, fresh, changed], [kind, 0, 0])
    assert.equal(messages.added, 0)
  })
})

/** What a newcomer does: an empty folder, an empty home, an empty npm cache, and the README's commands. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Toolchain, toolchain } from './toolchain.ts'

/** Generous: an install on a busy machine takes a minute. */
const DEADLINE_MS = 240_000
/** All tests take some minutes on two cores that have nothing else to do. */
const TESTS_DEADLINE_MS = 1_500_000
/**
 * How often `npm ci && npm test` runs with each npm, in one clone: minutes each. Before a release
 * `LOCI_NEWCOMER_RUNS=2,1,1 npm run test:install`; docs/reliability.md has the last such run.
 */
const TEST_RUNS = (process.env['LOCI_NEWCOMER_RUNS'] ?? '1,0,0').split(',').map(Number)

const ROOT = join(import.meta.dirname, '..', '..')

/** A machine as a newcomer has it: a clone, and an environment with nothing of the developer's own. */
interface Machine {
  clone: string
  home: string
  env: Record<string, string>
  remove(): void
}

function machine(tools: Toolchain, options: { clone: boolean }): Machine {
  const root = mkdtempSync(join(tmpdir(), 'loci-newcomer-'))
  const folder = (name: string) => {
    mkdirSync(join(root, name))
    return join(root, name)
  }
  const clone = folder('clone')
  const home = folder('home')
  if (options.clone)
    for (const file of trackedFiles()) {
      mkdirSync(dirname(join(clone, file)), { recursive: true })
      cpSync(join(ROOT, file), join(clone, file))
    }
  const inherited = [
    'NODE_EXTRA_CA_CERTS',
    'HTTPS_PROXY',
    'HTTP_PROXY',
    'NO_PROXY',
    'https_proxy',
    'http_proxy',
    'no_proxy',
  ]
  const env: Record<string, string> = {
    PATH: [tools.bin, '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
    HOME: home,
    TMPDIR: folder('tmp'),
    npm_config_cache: folder('cache'),
    npm_config_registry: registry,
    // Nothing on this machine's localhost is to be found.
    OLLAMA_BASE_URL: 'http://127.0.0.1:1',
    LMSTUDIO_BASE_URL: 'http://127.0.0.1:1',
  }
  for (const name of inherited) if (process.env[name] !== undefined) env[name] = process.env[name]
  return { clone, home, env, remove: () => rmSync(root, { recursive: true, force: true, maxRetries: 5 }) }
}

const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()

function trackedFiles(): string[] {
  // A checkout may belong to another user than the one who tests it.
  const args = ['-c', 'safe.directory=*', 'ls-files', '--cached', '--others', '--exclude-standard', '-z']
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' })
    .split('\0')
    .filter((file) => file !== '')
}

/** Runs a shell line in a process group of its own; `until` stops waiting when the output matches. */
function shell(line: string, cwd: string, env: Record<string, string>) {
  const child: ChildProcess = spawn('sh', ['-c', line], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()))
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()))
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  const kill = (signal: NodeJS.Signals) => {
    try {
      process.kill(-(child.pid ?? 0), signal)
    } catch {
      // The group is gone already.
    }
  }
  return {
    ended,
    kill,
    get output() {
      return output
    },
    async until(pattern: RegExp): Promise<RegExpExecArray> {
      const deadline = Date.now() + DEADLINE_MS
      for (let over = false; ;) {
        const match = pattern.exec(output)
        if (match) return match
        if (over || Date.now() > deadline)
          throw new Error(
            `'${line}' ${over ? 'ended' : 'took too long'} without ${pattern}:\n${output.slice(-4000)}`,
          )
        over = await Promise.race([
          ended.then(() => true),
          new Promise<false>((ok) => setTimeout(ok, 50, false)),
        ])
      }
    },
  }
}

/** Rejects with the label and what was printed when the promise takes too long. */
async function within<T>(
  label: string,
  promise: Promise<T>,
  printed: () => string,
  deadline = DEADLINE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not in ${deadline} ms: ${label}\n${printed().slice(-4000)}`)),
      deadline,
    )
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

async function run(line: string, cwd: string, env: Record<string, string>, deadline = DEADLINE_MS) {
  const program = shell(line, cwd, env)
  const ended = within(`end of '${line}'`, program.ended, () => program.output, deadline)
  const code = await ended.finally(() => program.kill('SIGKILL'))
  return { code, output: program.output }
}

const URL_LINE = /http:\/\/127\.0\.0\.1:\d+/

async function answersAndStops(line: string, cwd: string, env: Record<string, string>): Promise<string> {
  const server = shell(line, cwd, env)
  try {
    const [url] = await server.until(URL_LINE)
    const health = await fetch(`${url}/v1/health/`)
    assert.equal(health.status, 200, 'the URL is printed once health answers')
    await server.until(/curl[^\n]*\n[^\n]*curl[^\n]*/)
    const [lines] = await server.until(/^agent=\$\(curl[^\n]*\n[^\n]*$/m)
    const pasted = await run(lines, cwd, env)
    assert.equal(pasted.code, 0, pasted.output)
    assert.match(pasted.output, /assistant_message/)
    server.kill('SIGINT')
    await within(`'${line}' ends on Ctrl-C`, server.ended, () => server.output)
    await assert.rejects(fetch(`${url}/v1/health/`), 'nothing is left running')
    return server.output
  } finally {
    server.kill('SIGKILL')
  }
}

describe('a newcomer with npm, git and a Node', () => {
  const machines = [() => toolchain(20, 10), () => toolchain(20, 11), () => toolchain(24, 12)] as const
  for (const [i, make] of machines.entries())
    describe(['npm 10 on Node 20', 'npm 11 on Node 20', 'npm 12 on Node 24'][i] ?? '', () => {
      let m: Machine
      before(() => {
        m = machine(make(), { clone: true })
      })
      after(() => m.remove())

      it('npm ci && npm start', async () => {
        const data = join(m.home, 'data')
        const output = await answersAndStops(
          `npm ci && npm start -- --port 0 --data '${data}'`,
          m.clone,
          m.env,
        )
        assert.match(output, /loci\/demo/)
        assert.ok(readdirSync(data).includes('loci.db'))
        const lock = readFileSync(join(m.clone, 'package-lock.json'), 'utf8')
        assert.equal(
          lock,
          readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
          'the lockfile is left alone',
        )
      })

      it('npm start keeps its data in ~/.loci', async () => {
        await answersAndStops('npm start -- --port 0', m.clone, m.env)
        assert.ok(readdirSync(join(m.home, '.loci')).includes('loci.db'))
      })

      const times = TEST_RUNS[i] ?? 0
      if (times === 0) return
      it(`npm ci && npm test${times > 1 ? `, ${times} times in a row` : ''}`, async function () {
        this.timeout(times * TESTS_DEADLINE_MS)
        for (let n = 0; n < times; n++) {
          const { code, output } = await run('npm ci && npm test', m.clone, m.env, TESTS_DEADLINE_MS)
          assert.equal(code, 0, output.slice(-4000))
          assert.match(output, /\d+ passing/)
          assert.doesNotMatch(output, /\d+ failing/)
        }
      })
    })
})

describe('the package, installed globally into an empty prefix', () => {
  let tarball: string
  let pack: string
  before(() => {
    pack = mkdtempSync(join(tmpdir(), 'loci-pack-'))
    execFileSync('npm', ['pack', '--pack-destination', pack], { cwd: ROOT, stdio: 'pipe' })
    const [file] = readdirSync(pack).filter((name) => name.endsWith('.tgz'))
    tarball = join(pack, file ?? '')
  })
  after(() => rmSync(pack, { recursive: true, force: true }))

  const install = async (tools: Toolchain) => {
    const m = machine(tools, { clone: false })
    const prefix = join(m.home, 'prefix')
    const { code, output } = await run(
      `npm install --global --prefix '${prefix}' '${tarball}'`,
      m.home,
      m.env,
    )
    assert.equal(code, 0, output)
    return { m, loci: join(prefix, 'bin', 'loci') }
  }

  it('runs where the system has Node 20, on the Node it brings', async () => {
    const { m, loci } = await install(toolchain(20, 10))
    try {
      await answersAndStops(`'${loci}' server --port 0`, m.home, m.env)
    } finally {
      m.remove()
    }
  })

  /** As on a platform for which no Node is published. (npm installs optional packages globally whatever `--omit` says.) */
  const withoutBundledNode = (m: Machine) => {
    const modules = join(m.home, 'prefix', 'lib', 'node_modules', 'loci', 'node_modules')
    const bundled = readdirSync(modules).filter((name) => name.startsWith('node-'))
    assert.equal(bundled.length, 1, 'npm installed the one Node that fits')
    for (const name of bundled) rmSync(join(modules, name), { recursive: true })
  }

  it('runs on a Node that is new enough', async () => {
    const { m, loci } = await install(toolchain(24, 12))
    try {
      withoutBundledNode(m)
      await answersAndStops(`'${loci}' server --port 0`, m.home, m.env)
    } finally {
      m.remove()
    }
  })

  it('says plainly what to install where there is only Node 20', async () => {
    const { m, loci } = await install(toolchain(20, 10))
    try {
      withoutBundledNode(m)
      const { code, output } = await run(`'${loci}' server --port 0`, m.home, m.env)
      assert.equal(code, 1)
      assert.match(output, /20\.20/)
      assert.match(output, /22\.16/)
      assert.doesNotMatch(output, /\n\s+at /)
    } finally {
      m.remove()
    }
  })
})

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPython, type Interpreter } from '../../../shared/tools/python/interpreter.ts'
import { type EnvironmentsOptions, removeDrafts } from '../../../shared/tools/requirements/environments.ts'
import { installEnv } from '../../../shared/tools/requirements/install-env.ts'
import { createPipRequirements } from '../../../shared/tools/requirements/pip-requirements.ts'
import { openWall } from '../../../shared/tools/sandbox/wall.ts'
import { eventually } from '../../support/loci.ts'
import { startPython } from '../python/start-python.ts'
import { writeSourceDistribution, writeWheel } from './wheels.ts'

/** Command lines of processes of this machine that have a text in them. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const line = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') : ''
      return line.includes(text) ? [line] : []
    } catch {
      // It has ended.
      return []
    }
  })
}

describe('packages of Python tools', function () {
  this.timeout(120_000)
  let python: Interpreter
  let folder: string
  let links: string
  let server: Server
  let silent: string
  before(async function () {
    const found = await findPython().catch((error: Error) => error)
    if (found instanceof Error) {
      assert.ok(!process.env['CI'], found.message)
      console.log(`      not run: ${found.message}`)
      return this.skip()
    }
    python = found
    folder = mkdtempSync(join(tmpdir(), 'loci-pip-'))
    links = join(folder, 'links')
    mkdirSync(links)
    writeWheel(python.path, links, {
      name: 'greeter',
      version: '1.0',
      code: 'import politeness\ndef greet(name): return politeness.word + " " + name',
      requires: ['politeness'],
    })
    writeWheel(python.path, links, { name: 'politeness', version: '2.0', code: 'word = "Hello"' })
    // Takes every question and answers none.
    server = createServer(() => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    silent = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  })
  after(() => {
    server?.closeAllConnections()
    server?.close()
    if (folder) rmSync(folder, { recursive: true })
  })

  /** Only the packages of the test: no index, no network. */
  const offline = () => ({
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    PIP_NO_INDEX: '1',
    PIP_FIND_LINKS: links,
  })
  const requirements = (options: Partial<EnvironmentsOptions> = {}) =>
    createPipRequirements({ directory: join(folder, 'environments'), env: offline(), ...options })
  const never = () => ({ signal: new AbortController().signal })
  const left = () => {
    const directory = join(folder, 'environments')
    return existsSync(directory) ? readdirSync(directory).filter((name) => /^\.|lock$/.test(name)) : []
  }

  it('are not installed any more when the process that wanted them is killed; the next one tidies up', async function () {
    if (process.platform !== 'linux') this.skip()
    const directory = join(folder, 'killed')
    const module = new URL('../../../shared/tools/requirements/pip-requirements.ts', import.meta.url).href
    const env = { ...offline(), PIP_NO_INDEX: '', PIP_INDEX_URL: silent, PIP_DEFAULT_TIMEOUT: '600' }
    const server = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { createPipRequirements } from ${JSON.stringify(module)}
         const requirements = createPipRequirements({ directory: ${JSON.stringify(directory)}, env: ${JSON.stringify(env)} })
         await requirements({ pip_requirements: [{ name: 'never-there' }] }, { signal: new AbortController().signal })`,
      ],
      { stdio: 'inherit' },
    )
    const installing = () => processesWith(directory).filter((line) => line.includes('-m pip install '))
    await eventually('pip asks its index', () => (installing().length > 0 ? true : null), 60_000)
    server.kill('SIGKILL')
    await eventually('pip is gone', () => (installing().length === 0 ? true : null))
    const left = () => readdirSync(directory).filter((name) => name.startsWith('.'))
    assert.equal(left().length, 2)
    await removeDrafts(directory)
    assert.equal(left().length, 2, 'the lock is fresh: somebody may be at work')
    const [lock = ''] = readdirSync(directory).filter((name) => name.endsWith('.lock'))
    utimesSync(join(directory, lock), 0, 0)
    await removeDrafts(directory)
    assert.deepEqual(left(), [])
  })

  it('none are no work: it is the Python of this machine', async () => {
    assert.deepEqual(await requirements()({ pip_requirements: [] }, never()), await findPython(offline()))
  })

  it('are installed once, for all that wait and for all processes, and a tool imports them', async function () {
    const told: string[] = []
    const waiting = () => ({ ...never(), onProgress: (text: string) => void told.push(text) })
    const wanted = { pip_requirements: [{ name: 'greeter', version: '1.0' }] }
    const one = requirements()
    const other = requirements()
    const found = await Promise.all([
      one(wanted, waiting()),
      one(wanted, waiting()),
      other(wanted, waiting()),
    ])
    assert.equal(new Set(found.map(({ path }) => path)).size, 1)
    assert.ok(told.includes('Installing greeter==1.0 with pip; this is done once.'), told.join('\n'))
    assert.ok(told.some((text) => /^Installed greeter==1\.0 in [\d.]+ s\.$/.test(text)))
    assert.equal(
      told.filter((text) => text.startsWith('pip: Successfully installed')).length,
      2,
      'two heard of it',
    )
    assert.deepEqual(left(), [])

    const tools = await startPython(this, { requirements: one })
    try {
      const source = 'import greeter\ndef f(name: str):\n    return greeter.greet(name)'
      const pip = wanted.pip_requirements
      assert.equal(await tools.text(source, { args: { name: 'Ada' }, pip }), 'Hello Ada')
      assert.match(await tools.failure(source, { args: { name: 'Ada' } }), /No module named 'greeter'/)
      const write = 'import greeter\ndef f():\n    open(greeter.__file__, "a").write("#")'
      assert.match(await tools.failure(write, { pip }), /Read-only file system|PermissionError/)
    } finally {
      await tools.close()
    }
  })

  it('are there for a tool that may read a folder around the data directory', async function () {
    const hide = [join(folder, 'environments')]
    chmodSync(folder, 0o755)
    const tools = await startPython(this, {
      requirements: requirements(),
      hide,
      wall: await openWall({ hide }),
    })
    try {
      const source = `import greeter, os\ndef f():\n    return os.listdir(${JSON.stringify(hide[0])})`
      const options = { pip: [{ name: 'greeter', version: '1.0' }], permissions: { read: [folder] } }
      // Its own packages, and not those of other tools.
      assert.match(await tools.text(source, options), /^\["[0-9a-f]{32}"\]$/)
    } finally {
      await tools.close()
    }
  })

  it('that are not there are an error that names them, and leave nothing behind', async () => {
    await assert.rejects(
      requirements()({ pip_requirements: [{ name: 'no-such-package', version: '9' }] }, never()),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'tool_error')
        assert.match(error.message, /^pip could not install no-such-package==9: /)
        assert.match(error.message, /No matching distribution found for no-such-package==9/)
        return true
      },
    )
    assert.deepEqual(left(), [])
  })

  it('are wheels: no code of a package runs when it is installed', async () => {
    const mark = join(folder, 'mark')
    writeSourceDistribution(python.path, links, 'builder', mark)
    await assert.rejects(
      requirements()({ pip_requirements: [{ name: 'builder' }] }, never()),
      /pip could not install builder: [^]*No matching distribution found for builder/,
    )
    assert.equal(existsSync(mark), false)
  })

  it('that never come are given up at the limit, and with the call', async () => {
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      PIP_INDEX_URL: silent,
      PIP_CONFIG_FILE: '/dev/null',
    }
    await assert.rejects(
      requirements({ env, timeout_ms: 6000 })({ pip_requirements: [{ name: 'endless' }] }, never()),
      /^AppError: pip could not install endless: it took longer than 6 s$/,
    )
    assert.deepEqual(left(), [])
    const controller = new AbortController()
    const waiting = {
      signal: controller.signal,
      onProgress: (text: string) => text.startsWith('pip: ') && controller.abort(new Error('enough')),
    }
    await assert.rejects(
      requirements({ env })({ pip_requirements: [{ name: 'endless' }] }, waiting),
      /enough/,
    )
    assert.deepEqual(left(), [])
    const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    assert.ok(!processes.includes(folder), processes)
  })

  it('that grow without end are given up', async () => {
    await assert.rejects(
      requirements({ max_bytes: 1_000_000 })({ pip_requirements: [{ name: 'politeness' }] }, never()),
      /pip could not install politeness: it takes more than 1 MB on disk/,
    )
    assert.deepEqual(left(), [])
  })

  it('are installed with nothing of our environment but what reaches the network and the index', () => {
    const env = installEnv(
      {
        PATH: '/bin',
        HOME: join(folder, 'nobody'),
        OPENAI_API_KEY: 'sesame',
        LOCI_ENCRYPTION_KEY: 'sesame',
        ELECTRON_RUN_AS_NODE: '1',
        NODE_OPTIONS: '--require evil',
        PYTHONPATH: '/evil',
        https_proxy: 'http://proxy:3128',
        PIP_INDEX_URL: 'https://index.example/simple',
      },
      '/home-of-its-own',
    )
    assert.deepEqual(env, {
      PATH: '/bin',
      https_proxy: 'http://proxy:3128',
      PIP_INDEX_URL: 'https://index.example/simple',
      ...Object.fromEntries(
        ['HOME', 'USERPROFILE', 'TMPDIR', 'TEMP', 'TMP'].map((name) => [name, '/home-of-its-own']),
      ),
    })
  })
})

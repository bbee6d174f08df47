import assert from 'node:assert/strict'
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { dirname, join } from 'node:path'
import { cleanEnvironment, LOCI, run, start, temporaryFolder, withDeadline } from '../support/cli-process.ts'

/** Resolves when nothing listens at `url` any more. */
async function untilGone(url: string): Promise<void> {
  for (;;) {
    const answers = await new Promise<boolean>((resolve) => {
      get(url, { agent: false }, (response) => {
        response.resume()
        response.on('close', () => resolve(true))
      }).on('error', () => resolve(false))
    })
    if (!answers) return
  }
}

describe('the launcher on a Node that is too old', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let env: Record<string, string>
  /** Arguments that start a copied package on a Node that takes itself for 20.9. */
  let alone: string[]
  let bundled: string[]

  before(async () => {
    folder = await temporaryFolder()
    env = cleanEnvironment(folder.path)
    const old = join(folder.path, 'old.cjs')
    await writeFile(old, "Object.defineProperty(process.versions, 'node', { value: '20.9.0' })\n")
    for (const name of ['alone', 'bundled']) {
      await cp(dirname(LOCI), join(folder.path, name, 'loci', 'dist'), { recursive: true })
      await writeFile(join(folder.path, name, 'loci', 'package.json'), '{"type":"module"}')
    }
    const windows = process.platform === 'win32'
    const platform = `${windows ? 'win' : process.platform}-${process.arch}`
    const bin = join(folder.path, 'bundled', 'node_modules', `node-${platform}`, 'bin')
    await mkdir(bin, { recursive: true })
    await symlink(process.execPath, join(bin, windows ? 'node.exe' : 'node'))
    const args = (name: string) => ['--require', old, join(folder.path, name, 'loci', 'dist', 'loci.js')]
    alone = args('alone')
    bundled = args('bundled')
  })
  after(() => folder.remove())

  it('says what it needs, what it found and what to do, and fails', async () => {
    const { code, stdout, stderr } = await run(process.execPath, [...alone, 'server'], { env })
    assert.equal(code, 1)
    assert.equal(stdout, '')
    assert.match(stderr, /needs Node\.js 22\.16 or newer; this is 20\.9\.0 \(.+\)/)
    assert.match(stderr, /No bundled Node\.js/)
    assert.match(stderr, /nodejs\.org/)
    assert.doesNotMatch(stderr, /\n\s+at /)
  })

  it('runs on the bundled Node, with the same arguments, input and exit code', async () => {
    const version = await run(process.execPath, [...bundled, '--version'], { env })
    assert.equal(version.code, 0, version.stderr)
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
    const usage = await run(process.execPath, [...bundled, 'server', '--port', 'a b'], { env })
    assert.equal(usage.code, 2)
    assert.match(usage.stderr, /'a b'/)
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'test', version: '1' },
      },
    }
    const mcp = start(process.execPath, [...bundled, 'mcp'], env)
    mcp.child.stdin?.write(`${JSON.stringify(initialize)}\n`)
    await mcp.waitFor(/"serverInfo"/)
    mcp.child.stdin?.end()
    assert.equal((await withDeadline(mcp.exited, 'end after stdin')).code, 0)
  })

  it('passes a signal on, and ends as the server does', async () => {
    const server = start(process.execPath, [...bundled, 'server', '--port', '0'], env)
    await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
    assert.deepEqual(await server.stop(), { code: 0, signal: null }, server.stderr)
  })

  it('takes the server with it when it is killed', async () => {
    const server = start(process.execPath, [...bundled, 'server', '--port', '0'], env)
    const [url] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
    server.child.kill('SIGKILL')
    await withDeadline(untilGone(`${url}/v1/health/`), 'end of the orphaned server')
  })
})

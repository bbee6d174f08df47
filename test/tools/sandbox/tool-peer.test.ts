import { build } from 'esbuild'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openWall } from '../../../shared/tools/sandbox/wall.ts'
import { sharedTemporary } from '../../support/walls.ts'

/** Connects from different places to a server of its own, and says of each whether it was taken for a tool. */
const SCRIPT = `
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { isToolPeer } from './shared/tools/sandbox/tool-peer.ts'
import { openWall } from './shared/tools/sandbox/wall.ts'

const [kind] = process.argv.slice(2)
const wall = await openWall({ kinds: [kind] })
const judged = {}
for (const host of ['127.0.0.1', '::1']) {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = server.address()
  const judge = async (who, connecting, gone) => {
    const connected = once(server, 'connection')
    const end = connecting()
    const [socket] = await connected
    socket.on('error', () => undefined)
    if (gone) await new Promise((resolve) => socket.resume().once('close', resolve))
    judged[who + ' over ' + host] = await isToolPeer(gone ?? socket)
    end()
    socket.destroy()
  }
  const code = 'require("net").connect(' + port + ', "' + host + '").on("error", () => process.exit()).resume()'
  await judge('this process', () => {
    const socket = connect(port, host).on('error', () => undefined)
    return () => socket.destroy()
  })
  await judge('a program', () => {
    const child = spawn(process.execPath, ['-e', code])
    return () => child.kill()
  })
  await judge('a tool', () => {
    const child = wall.launch({ command: process.execPath, args: ['-e', code], env: {}, read: [process.execPath], write: [],
      network: true, limits: { memory_mb: 1024, cpu_s: 20, processes: 32, file_mb: 2, scratch_mb: 4 }, pipes: 0 })
    return () => wall.killAll(child)
  })
  const lost = { localAddress: host, localPort: port, remoteAddress: host, remotePort: 1 }
  await judge('who has gone', () => {
    const socket = connect(port, host, () => socket.resetAndDestroy())
    return () => undefined
  }, lost)
  server.close()
}
console.log(JSON.stringify([wall.kind, judged]))
process.exit()
`

describe('who connects to this machine', function () {
  if (process.platform !== 'linux') return
  let folder: string
  let program: string
  let script: string
  before(async () => {
    folder = await mkdtemp(join(sharedTemporary(), 'loci-peer-'))
    await chmod(folder, 0o755)
    program = join(folder, 'node')
    script = join(folder, 'peer.mjs')
    await copyFile(process.execPath, program)
    await build({
      stdin: { contents: SCRIPT, resolveDir: process.cwd() },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: script,
    })
  })
  after(() => rm(folder, { recursive: true }))

  const users = process.getuid?.() === 0 ? [0, 54_321] : [process.getuid?.() ?? 0]
  for (const user of users)
    for (const kind of ['bubblewrap', 'namespaces'] as const)
      it(`is told from a tool: ${kind}, server of user ${user}`, async function () {
        if ((await openWall({ kinds: [kind] })).kind === 'none') return this.skip()
        const { stdout } = await promisify(execFile)(program, [script, kind], {
          ...(user === process.getuid?.() ? {} : { uid: user, gid: user }),
          cwd: '/',
          env: {},
        })
        const each = (host: string) => ({
          [`this process over ${host}`]: false,
          [`a program over ${host}`]: false,
          [`a tool over ${host}`]: true,
          [`who has gone over ${host}`]: true,
        })
        assert.deepEqual(JSON.parse(stdout), [kind, { ...each('127.0.0.1'), ...each('::1') }])
      })
})

import { build } from 'esbuild'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { openWall } from '../../../shared/tools/sandbox/wall.ts'
import type { Wall, WalledCommand } from '../../../shared/tools/sandbox/walled-command.ts'
import { eventually } from '../../support/loci.ts'
import { sharedTemporary, testWalls } from '../../support/walls.ts'

const LIMITS = { memory_mb: 1024, cpu_s: 20, processes: 32, file_mb: 2, scratch_mb: 4 }

/** Runs a program to its end, without any second layer: what holds it back is the wall alone. */
async function run(wall: Wall, command: Partial<WalledCommand>) {
  const child = wall.launch({
    command: '/bin/sh',
    args: [],
    env: {},
    read: [],
    write: [],
    network: false,
    limits: LIMITS,
    pipes: 0,
    ...command,
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => (stdout += chunk))
  child.stderr?.on('data', (chunk) => (stderr += chunk))
  child.stdin?.end()
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { code, signal, stdout, stderr }
}
const shell = (wall: Wall, script: string, command: Partial<WalledCommand> = {}) =>
  run(wall, { args: ['-c', script], ...command })
const node = (wall: Wall, script: string, command: Partial<WalledCommand> = {}) =>
  run(wall, {
    command: process.execPath,
    args: ['--input-type=module', '-e', script],
    ...command,
    read: [process.execPath, ...(command.read ?? [])],
  })

/** A time to sleep for that no other run of the tests has. */
const LONG = `98760.${process.pid}`

/** Processes of this machine whose command line has a word. */
async function processesWith(word: string): Promise<string[]> {
  const found = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    // It may have ended meanwhile.
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (line.split('\0').includes(word)) found.push(pid)
  }
  return found
}
const noneWith = (word: string) =>
  eventually(`no process with ${word} is left`, async () =>
    (await processesWith(word)).length === 0 ? true : null,
  )

for (const wall of (await testWalls()).filter(({ kind }) => kind === 'bubblewrap' || kind === 'namespaces')) {
  describe(`the wall of ${wall.kind}`, () => {
    let folder: string
    let server: Server
    let port: string

    before(async () => {
      folder = await mkdtemp(join(sharedTemporary(), 'loci-wall-'))
      await chmod(folder, 0o755)
      server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1')
      await once(server, 'listening')
      port = String((server.address() as AddressInfo).port)
    })
    after(async () => {
      server.close()
      await rm(folder, { recursive: true })
    })

    it('shows the programs of the system and nothing else of the machine', async () => {
      const { stdout } = await shell(wall, 'ls / /etc /home /root /dev /work 2>/dev/null')
      const shown = stdout.split('\n').filter((line) => line.length > 0 && !line.endsWith(':'))
      const known =
        /^(bin|dev|etc|lib|lib32|lib64|libx32|nix|proc|sbin|tmp|usr|null|zero|full|random|urandom|fd|std(in|out|err)|shm|passwd|group|ssl|pki|alternatives|localtime|ca-certificates|ld\.so\..*)$/
      assert.deepEqual(
        shown.filter((name) => !known.test(name)),
        [],
      )
      assert.ok(shown.includes('usr'))
    })

    it('has nothing that can be written but the scratch folder, which is gone afterwards', async () => {
      const { stdout } = await shell(
        wall,
        `for place in / /usr /usr/bin /etc /dev /proc /proc/sys/kernel /tmp /var /run /lib; do
          (echo x > $place/planted) 2>/dev/null && echo $place
        done; echo core > /proc/sys/kernel/core_pattern && echo core; echo $PWD $HOME $TMPDIR`,
      )
      assert.equal(stdout, '/tmp\n/tmp /tmp /tmp\n')
      assert.ok(!existsSync('/tmp/planted'))
      assert.equal((await shell(wall, 'ls /tmp')).stdout, '')
    })

    it('runs as nobody, without capabilities, and cannot gain any', async () => {
      const { stdout } = await shell(
        wall,
        `id -u; grep -E '^(Cap|NoNewPrivs)' /proc/self/status; unshare --user true 2>/dev/null && echo unshared; su -c id 2>/dev/null; echo end`,
      )
      const zero = '0000000000000000'
      assert.deepEqual(stdout.trim().split(/\n|\t/), [
        '65534',
        ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].flatMap((name) => [`${name}:`, zero]),
        'NoNewPrivs:',
        '1',
        'end',
      ])
    })

    it('has one account, which is nobody', async () => {
      const { stdout } = await node(
        wall,
        `import { userInfo } from 'node:os'
         import { readFileSync } from 'node:fs'
         console.log(userInfo().username, readFileSync('/etc/passwd', 'utf8').split('\\n').length)`,
      )
      assert.equal(stdout, 'nobody 2\n')
    })

    it('lets a program of ours make walls of its own', async () => {
      const { stdout } = await shell(wall, 'unshare --user --map-root-user id -u', { namespaces: true })
      assert.equal(stdout, '0\n')
    })

    it('has no network unless it is declared', async () => {
      const script = `import { connect } from 'node:net'
        connect(${port}, '127.0.0.1').on('data', (d) => console.log(String(d))).on('error', (e) => console.log(e.code))`
      assert.match((await node(wall, script)).stdout, /^(ENETUNREACH|ECONNREFUSED)\n$/)
      assert.equal((await node(wall, script, { network: true })).stdout, 'hello\n')
      assert.equal((await shell(wall, 'ls /etc/resolv.conf')).stdout, '')
    })

    if (wall.kind === 'bubblewrap')
      it('is refused by the kernel what it has no use for, whatever runs behind it', async function () {
        const python = '/usr/bin/python3'
        // The wall shows the system's programs; the filter itself is tried in test/tools/python, too.
        if (!existsSync(python)) return this.skip()
        const tried = async (code: string, network = false) => {
          const { stdout, stderr } = await run(wall, {
            command: python,
            args: [
              '-I',
              '-c',
              `import os, socket, errno\ntry:\n    ${code}\n    print("made")\nexcept OSError as error: print(errno.errorcode[error.errno])`,
            ],
            network,
          })
          return stdout.trim() || stderr
        }
        assert.equal(await tried('os.memfd_create("x")'), 'EPERM')
        assert.equal(await tried('socket.socket(socket.AF_INET)'), 'ENETUNREACH')
        assert.equal(await tried('socket.socket(socket.AF_VSOCK)'), 'ENETUNREACH')
        assert.equal(await tried('socket.socketpair()'), 'made')
        assert.equal(await tried('socket.socket(socket.AF_INET)', true), 'made')
        assert.equal(await tried('socket.socket(socket.AF_VSOCK)', true), 'ENETUNREACH')
      })

    it('sees and signals no process but its own', async () => {
      const { stdout } = await shell(
        wall,
        `ls /proc | grep -c '^[0-9]'; kill -9 ${process.pid} 2>/dev/null && echo killed; kill -9 ${process.ppid} 2>/dev/null && echo killed; echo alive`,
      )
      const [count, ...rest] = stdout.trim().split('\n')
      assert.ok(Number(count) < 8)
      assert.deepEqual(rest, ['alive'])
    })

    it('counts processes: a fork bomb ends', async () => {
      const { code, stderr } = await shell(wall, 'bomb() { bomb | bomb & bomb; }; bomb', {
        limits: { ...LIMITS, cpu_s: 3, processes: 24 },
      })
      assert.notEqual(code, 0)
      assert.match(stderr, /Cannot fork|Resource temporarily unavailable/)
    })

    it('bounds memory, processor time, files and the scratch folder', async () => {
      const memory = await node(wall, `const all = []; for (;;) all.push(Buffer.alloc(2 ** 24, 1))`)
      assert.notEqual(memory.code, 0)
      assert.match(memory.stderr, /allocat|memory/i)
      const time = await node(wall, 'for (;;);', { limits: { ...LIMITS, cpu_s: 1 } })
      assert.ok(time.code !== 0 || time.signal !== null)
      const file = await shell(wall, 'head -c 3000000 /dev/zero > big; wc -c < big')
      assert.equal(file.stdout.trim(), String(2 * 1024 * 1024))
      const all = await shell(
        wall,
        'for i in 1 2 3 4 5; do head -c 1900000 /dev/zero > $i; done; cat ? | wc -c',
      )
      assert.ok(Number(all.stdout) <= 4 * 1024 * 1024)
      assert.match(all.stderr, /No space left/)
      const shared = await shell(wall, 'for i in 1 2 3 4 5; do head -c 1900000 /dev/zero > /dev/shm/$i; done')
      assert.match(shared.stderr, /No space left/)
    })

    it('shows what is declared, and lets write only what is declared so', async () => {
      const read = join(folder, 'read')
      const write = join(folder, 'write')
      for (const place of [read, write]) {
        await mkdir(place, { recursive: true })
        await chmod(place, 0o777)
        await writeFile(join(place, 'note'), 'a note')
        await chmod(join(place, 'note'), 0o666)
      }
      const file = join(folder, 'alone')
      await writeFile(file, 'one file')
      const { stdout } = await shell(
        wall,
        `cat ${read}/note ${file}; echo; ls ${folder}; for place in ${read} ${write} ${folder}; do
          (echo x > $place/new) 2>/dev/null && echo $place; (echo x > $place/note) 2>/dev/null && echo $place/note
        done`,
        { read: [read, file], write: [write] },
      )
      assert.deepEqual(stdout.trim().split('\n'), [
        'a noteone file',
        'alone',
        'read',
        'write',
        write,
        `${write}/note`,
      ])
      assert.equal(await readFile(join(write, 'new'), 'utf8'), 'x\n')
    })

    it('hides the data directory also below a folder that is declared', async () => {
      const around = join(folder, 'around')
      const data = join(around, 'data')
      await mkdir(data, { recursive: true })
      await writeFile(join(data, 'loci.db'), 'secret')
      await writeFile(join(around, 'other'), 'shown')
      const hiding = await openWall({ hide: [data], kinds: [wall.kind as 'bubblewrap' | 'namespaces'] })
      const { stdout } = await shell(hiding, `cat ${around}/other; echo; ls ${data}; cat ${data}/loci.db`, {
        read: [around],
      })
      assert.equal(stdout, 'shown\n')
    })

    it('shows packages that lie in the data directory, and nothing else of it', async () => {
      const around = join(folder, 'around-packages')
      const data = join(around, 'data')
      const packages = join(data, 'tools', 'environments', 'one')
      await mkdir(packages, { recursive: true })
      await writeFile(join(packages, 'module'), 'imported')
      await writeFile(join(data, 'loci.db'), 'secret')
      const hiding = await openWall({ hide: [data], kinds: [wall.kind as 'bubblewrap' | 'namespaces'] })
      const { stdout } = await shell(
        hiding,
        `cat ${packages}/module; echo; ls ${data} ${data}/tools; cat ${data}/loci.db; echo x > ${data}/made || echo sealed`,
        { read: [around, packages] },
      )
      assert.deepEqual(stdout.trim().split('\n'), [
        'imported',
        `${data}:`,
        'tools',
        '',
        `${data}/tools:`,
        'environments',
        'sealed',
      ])
    })

    it('refuses a folder that is not there, and tells which', () => {
      assert.throws(
        () =>
          wall.launch({
            command: '/bin/sh',
            args: [],
            env: {},
            read: ['/no/such'],
            write: [],
            network: false,
            limits: LIMITS,
            pipes: 0,
          }),
        /'\/no\/such', which cannot be found/,
      )
    })

    it('never starts the program when the wall fails half way', async () => {
      const { code, stdout, stderr } = await shell(wall, `echo started`, {
        limits: { ...LIMITS, processes: Number.NaN },
      })
      assert.notEqual(code, 0)
      assert.equal(stdout, '')
      assert.notEqual(stderr, '')
      const mount = await shell(wall, 'echo started', { limits: { ...LIMITS, scratch_mb: Number.NaN } })
      assert.notEqual(mount.code, 0)
      assert.equal(mount.stdout, '')
    })

    it('gives a program nothing of the environment but what it is told', async () => {
      const { stdout } = await shell(wall, 'env', { env: { OWN: '1' } })
      const names = stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0])
      assert.deepEqual(names.sort(), ['HOME', 'OWN', 'PATH', 'PWD', 'TMPDIR'])
    })

    it('carries bytes both ways over the pipes that were asked for', async () => {
      const child = wall.launch({
        command: process.execPath,
        args: ['-e', `require('fs').writeSync(3, String(require('fs').readFileSync(3)).toUpperCase())`],
        env: {},
        read: [process.execPath],
        write: [],
        network: false,
        limits: LIMITS,
        pipes: 1,
      })
      const pipe = child.stdio[3] as Socket
      pipe.end('hello')
      const [answer] = (await once(pipe, 'data')) as [Buffer]
      assert.equal(String(answer), 'HELLO')
      await once(child, 'close')
    })

    it('ends what a program left behind, and everything when it is told to', async () => {
      const left = await shell(
        wall,
        `setsid sleep ${LONG}1 < /dev/null > /dev/null 2>&1 & sleep 0.01; echo done`,
      )
      assert.equal(left.stdout, 'done\n')
      await noneWith(`${LONG}1`)

      const child = wall.launch({
        command: '/bin/sh',
        args: ['-c', `setsid sleep ${LONG}2 & setsid sleep ${LONG}2 & echo go; wait`],
        env: {},
        read: [],
        write: [],
        network: false,
        limits: LIMITS,
        pipes: 0,
      })
      await once(child.stdout!, 'data')
      const exit = once(child, 'exit')
      wall.killAll(child)
      await exit
      assert.deepEqual(await processesWith(`${LONG}2`), [])
    })

    it('ends everything when the server is killed', async () => {
      const server = spawn(
        process.execPath,
        [
          '--input-type=module',
          '-e',
          `
        import { openWall } from ${JSON.stringify(new URL('../../../shared/tools/sandbox/wall.ts', import.meta.url).href)}
        const wall = await openWall({ kinds: ['${wall.kind}'] })
        const child = wall.launch({ command: '/bin/sh', args: ['-c', 'sleep ${LONG}3 & echo go; wait'], env: {}, read: [], write: [],
          network: false, limits: ${JSON.stringify(LIMITS)}, pipes: 0 })
        child.stdout.on('data', () => console.log('started'))`,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      try {
        await once(server.stdout, 'data')
        await eventually('the program runs', async () =>
          (await processesWith(`${LONG}3`)).length > 0 ? true : null,
        )
      } finally {
        server.kill('SIGKILL')
      }
      await once(server, 'close')
      await noneWith(`${LONG}3`)
    })

    if (process.getuid?.() === 0) {
      it('stands for a plain user, too', async () => {
        const program = join(folder, 'node')
        const script = join(folder, 'wall.mjs')
        await copyFile(process.execPath, program)
        await build({
          stdin: {
            contents: `import { openWall } from './shared/tools/sandbox/wall.ts'
              const wall = await openWall({ kinds: ['${wall.kind}'] })
              const child = wall.launch({ command: '/bin/sh', args: ['-c', 'id -u; ls /; (echo x > /x) 2>&1; grep CapEff /proc/self/status'],
                env: {}, read: [], write: [], network: false, limits: ${JSON.stringify(LIMITS)}, pipes: 0 })
              child.stdout.pipe(process.stdout)
              child.stderr.pipe(process.stderr)
              console.log(wall.kind, process.getuid())
              child.once('close', () => {
                const busy = wall.launch({ command: '/bin/sh', args: ['-c', ': > a; : > b; : > c; echo made; exec sleep 10'],
                  env: {}, read: [], write: [], network: false, limits: ${JSON.stringify(LIMITS)}, pipes: 0 })
                busy.stdout.once('data', async () => {
                  const counted = wall.scratchFiles ? (await wall.scratchFiles(busy)) >= 3 : 'bounded by the wall'
                  console.log('files counted:', counted)
                  wall.killAll(busy)
                })
              })`,
            resolveDir: process.cwd(),
          },
          bundle: true,
          platform: 'node',
          format: 'esm',
          outfile: script,
        })
        const user = spawn(program, [script], { uid: 54_321, gid: 54_321, cwd: '/', env: {} })
        let said = ''
        user.stdout.on('data', (chunk) => (said += chunk))
        user.stderr.on('data', (chunk) => (said += chunk))
        await once(user, 'close')
        assert.match(said, new RegExp(`^${wall.kind} 54321\n65534\n`))
        assert.match(said, /Read-only file system|Permission denied/)
        assert.match(said, /CapEff:\t0000000000000000/)
        assert.doesNotMatch(said, /\nroot\n|\nhome\n/)
        assert.match(said, /files counted: (true|bounded by the wall)/)
      })

      it('says which folder a tool of a server that runs as root cannot reach', async () => {
        const closed = join(folder, 'closed')
        await mkdir(closed, { mode: 0o700 })
        assert.throws(
          () =>
            wall.launch({
              command: '/bin/sh',
              args: [],
              env: {},
              read: [closed],
              write: [],
              network: false,
              limits: LIMITS,
              pipes: 0,
            }),
          /the server runs as root and tools then run as nobody/,
        )
      })
    }
  })
}

describe('a machine without a wall', () => {
  it('says why, and what it means', async () => {
    const wall = await openWall({ search: '/nowhere' })
    assert.equal(wall.kind, 'none')
    assert.match(wall.description, /Nothing keeps tools away/)
    if (process.platform === 'linux')
      assert.match(wall.description, /'bwrap' is not installed; 'sh' is not installed/)
  })

  it('starts programs in a scratch folder that goes with them, with a clean environment', async () => {
    const wall = await openWall({ search: '/nowhere' })
    const { stdout } = await node(wall, `console.log(JSON.stringify([process.cwd(), process.env]))`)
    const [scratch, env] = JSON.parse(stdout) as [string, Record<string, string>]
    assert.deepEqual([env['HOME'], env['TMPDIR']], [scratch, scratch])
    assert.deepEqual(
      Object.keys(env)
        .filter((name) => !/^(PWD|OLDPWD|SHLVL|_|__CF_USER_TEXT_ENCODING)$/.test(name))
        .sort(),
      ['HOME', 'PATH', 'TMPDIR'],
    )
    await eventually('the scratch folder is gone', () => (existsSync(scratch) ? null : true))
  })
})

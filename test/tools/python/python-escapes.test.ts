import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type PythonRun, type StartedPython, startPython, textOf } from './start-python.ts'

/** How many processes of this machine have a text in their command line. */
function processesWith(text: string): number {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text)
    } catch {
      // It has ended.
      return false
    }
  }).length
}

/** Makes the audit hook refuse nothing: what is left is the operating system. */
const UNGUARDED = `
import loci_guard, gc
loci_guard.REFUSED.clear()
for thing in gc.get_objects():
    if type(thing) is loci_guard.Guard: thing.network = True
`.trim()

/** Tries to kill everybody but itself. */
const KILL = `
for target in {os.getppid(), 0, -1, 1, 2, 3} - {os.getpid()}:
    for kill in (os.kill, os.killpg):
        try: kill(target, 9)
        except OSError: continue
        return f"killed {target}"
return "nothing was killed"
`.trim()

const WALLS = {
  bubblewrap: { kinds: ['bubblewrap'] },
  namespaces: { kinds: ['namespaces'] },
  'bubblewrap, and no namespaces in it': { kinds: ['bubblewrap'], isolated: false },
} as const satisfies Record<string, Parameters<typeof startPython>[1]>

for (const [title, settings] of Object.entries(WALLS))
  describe(`escapes of python tools: ${title}`, function () {
    this.timeout(60_000)
    let python: StartedPython
    let server: Server
    let port: number
    let asked = 0
    let database: string
    let open: string
    before(async function () {
      python = await startPython(this, settings)
      server = createServer((_, response) => {
        asked++
        response.end('hello')
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      port = (server.address() as AddressInfo).port
      database = join(python.data, 'loci.db')
      const db = new DatabaseSync(database)
      db.exec("create table secrets (text); insert into secrets values ('sesame')")
      db.close()
      open = mkdtempSync(join(tmpdir(), 'loci-declared-'))
      chmodSync(open, 0o755)
      mkdirSync(join(open, 'shared'))
      chmodSync(join(open, 'shared'), 0o777)
      writeFileSync(join(open, 'read.txt'), 'readable')
    })
    after(async () => {
      await python?.close()
      if (open) rmSync(open, { recursive: true })
      server?.closeAllConnections()
      server?.close()
    })
    /** The server and other tools are untouched. */
    afterEach(async function () {
      if (this.currentTest?.isPending()) return
      assert.equal(await python.text('def f():\n    return "fine"'), 'fine')
    })

    /** Runs one line as the body of a tool. */
    const attempt = (body: string, options: PythonRun = {}) =>
      python.run(
        [
          'import os, sys, socket, signal, time, threading',
          'def f():',
          ...body.split('\n').map((line) => `    ${line}`),
        ].join('\n'),
        options,
      )
    const refused = async (body: string, expected: RegExp, options: PythonRun = {}) => {
      const result = await attempt(body, options)
      assert.equal(result.status, 'error', JSON.stringify(result))
      assert.match(textOf(result), expected)
    }

    describe('work without an end', () => {
      const short = { permissions: { timeout_ms: 400 } }
      const late = /^Error executing function f: it took longer than 0\.4 s, the limit of its time$/

      it('an infinite loop', () => refused('while True: pass', late, short))
      it('an infinite loop that catches everything', () =>
        refused(
          'while True:\n    try:\n        while True: time.sleep(1)\n    except BaseException: pass',
          late,
          short,
        ))
      it('an infinite loop that ignores signals', () =>
        refused(
          'for n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(1)',
          late,
          short,
        ))
      it('recursion without end', () => refused('def g(): return g()\ng()', /RecursionError: /))
      it('a regular expression that backtracks', () =>
        refused('import re\nre.match("(a+)+$", "a" * 60 + "b")', late, short))
    })

    describe('too much of everything', () => {
      it('a fork bomb', () => refused('while True: os.fork()', /PermissionError: os\.fork is refused/))
      it('a fork bomb without the audit hook', () =>
        refused(
          'import _posixsubprocess\nr, w = os.pipe()\nfor _ in range(100): _posixsubprocess.fork_exec([b"/bin/sh"], [b"/bin/sh"], True, (), None, None, -1, -1, -1, -1, -1, -1, r, w, False, False, -1, None, None, None, -1, None, False)\nos.close(w)\nraise OSError(os.read(r, 100))',
          /Error executing function f: (TypeError|OSError|PermissionError|BlockingIOError|RuntimeError)/,
        ))
      it('2 GB of memory', () => refused('return len(bytearray(2 << 30))', /MemoryError|memory, its limit/))
      it('2 GB of memory, bit by bit', () =>
        refused(
          'held = []\nwhile True: held.append(bytes(bytearray(b"x") * (1 << 20)))',
          /MemoryError|memory, its limit/,
        ))
      it('2 GB of shared memory', () =>
        refused(
          // Where nobody watches what is resident, address space is the limit, with 1 GB to spare.
          `import mmap\nm = mmap.mmap(-1, ${'isolated' in settings ? 2048 : 1400} << 20)\nfor i in range(0, len(m), 4096): m[i] = 1\ntime.sleep(5)`,
          /MemoryError|Cannot allocate memory|memory, its limit|signal/,
        ))
      it('memory in files without a name', () =>
        refused(
          'held = []\nwhile True:\n    held.append(os.memfd_create("x"))\n    for _ in range(6): os.write(held[-1], b"x" * 10**7)',
          /PermissionError/,
        ))
      it('memory in pipes and sockets', async () => {
        const result = await attempt(
          `import fcntl
held = [os.pipe() for _ in range(240)]
kept = 0
for _, end in held:
    try: fcntl.fcntl(end, 1031, 1 << 20)
    except OSError: pass
    os.set_blocking(end, False)
    try:
        while True: kept += os.write(end, b"x" * 65536)
    except BlockingIOError: pass
return kept >> 20`,
        )
        assert.ok(Number(textOf(result)) <= 256, textOf(result))
      })
      it('files without end', () =>
        refused(
          'n = 0\nwhile True:\n    n += 1\n    open(f"file{n}", "wb").write(b"x" * (8 << 20))',
          /No space left on device/,
        ))
      it('empty files without end', () =>
        refused(
          'n = 0\nwhile True:\n    n += 1\n    os.close(os.open(f"file{n}", os.O_CREAT))',
          /No space left on device|more than 32768 files in its scratch folder/,
        ))
      it('one file without end', () =>
        refused(
          'file = open("file", "wb")\nwhile True: file.write(b"x" * (1 << 20))',
          /File too large|No space left/,
        ))
      it('1 GB of stdout', () =>
        refused('for _ in range(1024): os.write(1, b"x" * (1 << 20))', /it wrote more than 64 MB of output/))
      it('threads without end', () =>
        refused(
          'threading.stack_size(65536)\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()',
          /can't start new thread|more than 32 threads|memory, its limit/,
        ))
      it('open files without end', () =>
        refused('held = []\nwhile True: held.append(open("/dev/null"))', /Too many open files/))
      it('a message to Loci that is none', () =>
        refused('os.write(3, b"\\xff" * 100)\ntime.sleep(30)', /its code sent .* to Loci/))
      it('a result that it makes up', async () => {
        const forged = await attempt(
          'import json, struct\nb = json.dumps({"type": "result", "token": "guess", "status": "success", "value": "forged"}).encode()\nos.write(3, struct.pack(">I", len(b)) + b)\nreturn "real"',
        )
        assert.equal(forged.func_response, 'real')
      })
    })

    describe('files', () => {
      it('/etc/passwd', async () => {
        const result = await attempt('return open("/etc/passwd").read()')
        // A wall may show one that it made up: of nobody.
        assert.doesNotMatch(textOf(result), /root:/)
      })
      it('/etc/shadow', () =>
        refused('return open("/etc/shadow").read()', /FileNotFoundError|PermissionError/))
      it('~/.ssh', () =>
        refused(
          `return os.listdir(${JSON.stringify(join(homedir(), '.ssh'))})`,
          /FileNotFoundError|PermissionError/,
        ))
      it('the home folder', () =>
        refused(
          `return os.listdir(${JSON.stringify(homedir())})[1]`,
          /FileNotFoundError|PermissionError|IndexError/,
        ))
      it('the data directory', () =>
        refused(`return os.listdir(${JSON.stringify(python.data)})`, /FileNotFoundError|PermissionError/))
      it('the data directory, as a declared folder', () =>
        refused('return 1', /declares .*, where Loci keeps its data/, {
          permissions: { read: [python.data] },
        }))
      it('the data directory, below a declared folder', () =>
        refused(`return open(${JSON.stringify(database)}).read()`, /FileNotFoundError|PermissionError/, {
          permissions: { read: [tmpdir()] },
        }))
      it('the data directory with sqlite3', () =>
        refused(
          `import sqlite3\nreturn sqlite3.connect(${JSON.stringify(database)}).execute("select * from secrets").fetchall()`,
          /OperationalError/,
        ))
      it('the data directory with ATTACH and VACUUM INTO', () =>
        refused(
          `import sqlite3\ndb = sqlite3.connect(":memory:")\ndb.execute("attach ? as loci", (${JSON.stringify(database)},))\nreturn db.execute("vacuum loci into 'copy.db'")`,
          /OperationalError/,
        ))
      it('the environment of the server', async () => {
        process.env['LOCI_TEST_SECRET'] = 'sesame'
        try {
          const result = await attempt(
            'found = str(dict(os.environ))\nfor pid in os.listdir("/proc") if os.path.isdir("/proc") else []:\n    try: found += open(f"/proc/{pid}/environ").read()\n    except OSError: pass\nreturn found',
          )
          assert.doesNotMatch(textOf(result), /sesame/)
        } finally {
          delete process.env['LOCI_TEST_SECRET']
        }
      })
      for (const place of [
        '/outside',
        '/usr/outside',
        '/etc/outside',
        '/dev/outside',
        '/var/tmp/outside',
        '/proc/outside',
      ])
        it(`writing ${place}`, () =>
          refused(`open("${place}", "w")`, /OSError|PermissionError|FileNotFoundError/))
      it('changing what Loci runs', () =>
        refused(
          'import loci_call\nopen(loci_call.__file__, "a").write("#")',
          /Read-only file system|PermissionError|OSError/,
        ))
      it('importing from the current folder', () =>
        refused(
          'open("mine.py", "w").write("x = 1")\nimport mine',
          /ModuleNotFoundError: No module named 'mine'/,
        ))
      it('a declared folder is read, and not written; another one is both', async () => {
        const permissions = { read: [open], write: [join(open, 'shared')] }
        const path = (name: string) => JSON.stringify(join(open, name))
        await refused(`open(${path('read.txt')}, "w")`, /Read-only file system|PermissionError/, {
          permissions,
        })
        const result = await attempt(
          `open(${path('shared/made.txt')}, "w").write("made")\nreturn open(${path('read.txt')}).read()`,
          { permissions },
        )
        assert.equal(textOf(result), 'readable')
        assert.equal(readFileSync(join(open, 'shared/made.txt'), 'utf8'), 'made')
      })
      it('devices', () => refused('os.mknod("disk", 0o60600, os.makedev(8, 0))', /PermissionError|OSError/))
      it('a link to the outside', () =>
        refused(
          `os.symlink("/proc/1/root/etc/shadow", "link")\nreturn open("link").read()`,
          /Error executing function f: (FileNotFound|Permission|NotADirectory)/,
        ))
    })

    describe('network', () => {
      const socketTo = (code: string) => code.replaceAll('PORT', String(port))

      it('a socket to the server', async () => {
        const before = asked
        await refused(socketTo('socket.create_connection(("127.0.0.1", PORT), 2)'), /# loci: network/)
        await refused(
          socketTo('import _socket\ns = _socket.socket()\ns.connect(("127.0.0.1", PORT))'),
          /PermissionError|OSError|ConnectionRefused/,
        )
        await refused(
          socketTo('import urllib.request\nurllib.request.urlopen("http://127.0.0.1:PORT/")'),
          /Error executing function f: /,
        )
        assert.equal(asked, before)
      })
      it('names', () => refused('socket.getaddrinfo("localhost", 80)', /# loci: network/))
      it('a declared network', async () => {
        const result = await attempt(
          socketTo(
            'import urllib.request\nreturn urllib.request.urlopen("http://127.0.0.1:PORT/").read().decode()',
          ),
          { permissions: { network: true } },
        )
        assert.equal(textOf(result), 'hello')
      })
    })

    describe('other processes', () => {
      it('killing the parent, the group, all, and what forked it', async () => {
        assert.equal(textOf(await attempt(KILL)), 'nothing was killed')
      })
      it('killing siblings', async () => {
        const sibling = python.text('import time\ndef f():\n    time.sleep(1)\n    return "alive"')
        await attempt('for pid in range(2, 400):\n    try: os.kill(pid, 9)\n    except OSError: pass')
        assert.equal(await sibling, 'alive')
      })
      it('killing itself', () =>
        refused('os.kill(os.getpid(), 9)\nos.abort()', /Error executing function f: its process ended/))
      it('seeing siblings', async () => {
        const sibling = python.text('import time\ndef f():\n    time.sleep(0.5)\n    return "alive"', {
          env: { SECRET: 'sesame' },
        })
        const result = await attempt(
          'time.sleep(0.2)\nreturn sorted(p for p in os.listdir("/proc") if p.isdigit()) if os.path.isdir("/proc") else []',
        )
        // In a wall of its own: what makes the wall, and itself.
        const all = 'isolated' in settings ? ['["1", "2"]'] : ['[]', '["1"]']
        assert.ok(all.includes(textOf(result)), textOf(result))
        await sibling
      })
      it('reading what an earlier call was given', async () => {
        await python.text('import os\ndef f():\n    return os.environ["SECRET"]', {
          env: { SECRET: 'sesame-4711' },
        })
        // What it looks for stands there backwards, so that it does not find itself.
        const result = await attempt(`
import ctypes
found = 0
for line in open("/proc/self/maps"):
    first, last = (int(each, 16) for each in line.split()[0].split("-"))
    if " rw" in line: found += ctypes.string_at(first, last - first)[::-1].count(b"1174-emases")
return found`)
        // Where /proc is covered nobody knows where memory is.
        assert.match(textOf(result), /^0$|FileNotFoundError/)
      })
      for (const [name, body] of Object.entries({
        'os.system': '__import__("os").system("true")',
        subprocess: 'import subprocess\nsubprocess.run(["true"])',
        'os.execv': 'os.execv("/bin/true", ["true"])',
        'os.posix_spawn': 'os.posix_spawn("/bin/true", ["true"], {})',
        'os.popen': 'os.popen("true").read()',
        pty: 'import pty\npty.spawn("true")',
        multiprocessing:
          'import multiprocessing\nmultiprocessing.get_context("fork").Process(target=print).start()',
        ctypes: 'import ctypes\nctypes.CDLL(None).system(b"true")',
        'ctypes of Python': 'import ctypes\nctypes.pythonapi.Py_BytesMain(0, None)',
      }))
        it(name, () => refused(body, /PermissionError: \S+ is refused: a tool /))
      it('a thread that works on after the call', async () => {
        const marker = join(open, 'shared', 'late.txt')
        const result = await attempt(
          `def late():\n    time.sleep(0.4)\n    open(${JSON.stringify(marker)}, "w").write("late")\nthreading.Thread(target=late).start()\nreturn "returned"`,
          { permissions: { write: [join(open, 'shared')] } },
        )
        assert.equal(result.func_response, 'returned')
        await python.text('import time\ndef f():\n    time.sleep(0.8)\n    return 1')
        assert.equal(existsSync(marker), false)
      })
      it('a daemon', () =>
        refused(
          'if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\nreturn 1',
          /PermissionError: os\.fork is refused/,
        ))
    })

    describe('without the layer that explains', () => {
      const denied = /PermissionError|OSError|Operation not permitted/
      it('starting processes', async () => {
        for (const body of [
          'os.fork()',
          'import subprocess\nsubprocess.run(["/bin/true"])',
          'if os.system("true") != 0: raise OSError("refused")',
          'os.execv("/bin/true", ["true"])',
          'import multiprocessing\nmultiprocessing.get_context("fork").Process(target=print).start()',
        ])
          await refused(`${UNGUARDED}\n${body}`, denied)
      })
      it('calling the system', async () => {
        const refusedCall = (code: string) =>
          refused(
            `${UNGUARDED}\nimport ctypes\nlibc = type(ctypes.pythonapi)(None, handle=ctypes.pythonapi._handle, use_errno=True)\nif ${code} == -1: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))`,
            /PermissionError/,
          )
        await refusedCall('libc.unshare(0x10000000)')
        await refusedCall('libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)')
        await refusedCall('libc.ptrace(0, 0, 0, 0)')
        await refusedCall('libc.setns(0, 0)')
        await refusedCall('libc.chroot(b"/")')
      })
      it('a socket to the server', async () => {
        const before = asked
        await refused(
          `${UNGUARDED}\nsocket.create_connection(("127.0.0.1", ${port}), 2)`,
          /OSError: .*(unreachable|refused)|ConnectionRefusedError/,
        )
        await refused(
          `${UNGUARDED}\nsocket.create_connection(("203.0.113.1", 80), 2)`,
          /OSError: .*unreachable/,
        )
        assert.equal(asked, before)
      })
      it('killing', async () => {
        assert.equal(textOf(await attempt(`${UNGUARDED}\n${KILL}`)), 'nothing was killed')
      })
    })

    it('leaves no process behind when it is closed', async () => {
      const mine = await startPython(this.ctx, settings)
      await mine.text('def f():\n    return 1', { permissions: { write: [join(open, 'shared')] } })
      const running = mine.run('import time\ndef f():\n    time.sleep(60)', {
        permissions: { write: [join(open, 'shared')] },
      })
      assert.ok(processesWith(open) > 0, 'its command line is seen')
      await mine.close()
      assert.match(textOf(await running), /^Error executing function f: /)
      assert.equal(processesWith(open), 0)
    })
  })

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { dirname } from 'node:path'
import { findPython, type Interpreter } from '../../../shared/tools/python/interpreter.ts'
import { pythonScript } from '../../../shared/tools/python/script-path.ts'
import { systemCallFilter } from '../../../shared/tools/sandbox/system-calls.ts'

/** Runs the filter as the kernel would, for calls of the system (architecture, number, first argument). */
const KERNEL = `
import json, struct, sys
sys.path.insert(0, sys.argv[1])
import loci_seccomp
machine, pid, network, given = sys.argv[2], int(sys.argv[3]), sys.argv[5] == 'network', sys.argv[6]
steps = list(struct.iter_unpack('=HBBI', bytes.fromhex(given))) if given else loci_seccomp.program(machine, pid, network)
def judge(architecture, number, argument):
    memory = {0: number, 4: architecture, 16: argument & 0xffffffff}
    at, held = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x06: return value
        if code == 0x20: held = memory[value]
        else:
            met = held == value if code == 0x15 else held >= value if code == 0x35 else held & value != 0
            at += yes if met else no
names = {0x7fff0000: 'allowed', 0x80000000: 'killed', 0x50001: 'EPERM', 0x50026: 'ENOSYS', 0x50065: 'ENETUNREACH'}
print(json.dumps([names[judge(*call)] for call in json.loads(sys.argv[4])]))
`

describe('the filter of system calls', () => {
  let python: Interpreter
  before(async function () {
    const found = await findPython().catch((error: Error) => error)
    if (found instanceof Error) {
      assert.ok(!process.env['CI'], found.message)
      console.log(`      not run: ${found.message}`)
      return this.skip()
    }
    python = found
  })

  const judge = (machine: string, calls: number[][], { network = false, filter = '' } = {}) =>
    JSON.parse(
      execFileSync(
        python.path,
        [
          '-I',
          '-B',
          '-c',
          KERNEL,
          dirname(pythonScript('loci_seccomp.py')),
          machine,
          '7',
          JSON.stringify(calls),
          network ? 'network' : '',
          filter,
        ],
        { encoding: 'utf8' },
      ),
    ) as string[]
  const THREAD = 0x10000

  for (const { machine, arch, read, execve, clone, clone3, kill, tgkill, unshare } of [
    {
      machine: 'x86_64',
      arch: 0xc000003e,
      read: 0,
      execve: 59,
      clone: 56,
      clone3: 435,
      kill: 62,
      tgkill: 234,
      unshare: 272,
    },
    {
      machine: 'aarch64',
      arch: 0xc00000b7,
      read: 63,
      execve: 221,
      clone: 220,
      clone3: 435,
      kill: 129,
      tgkill: 131,
      unshare: 97,
    },
  ])
    it(`lets threads begin and refuses processes: ${machine}`, () => {
      assert.deepEqual(
        judge(machine, [
          [arch, read, 0],
          [arch, execve, 0],
          [arch, unshare, 0],
          [arch, clone, THREAD | 0x3d0f00],
          [arch, clone, 17],
          [arch, clone3, 0],
          [arch, kill, 7],
          [arch, kill, 8],
          [arch, kill, -1],
          [arch, tgkill, 7],
          [arch, tgkill, 1],
          [0x40000003, read, 0],
        ]),
        'allowed EPERM EPERM allowed EPERM ENOSYS allowed EPERM EPERM allowed EPERM killed'.split(' '),
      )
    })

  for (const [machine, arch, socket, memfd, secret] of [
    ['x86_64', 0xc000003e, 41, 319, 447],
    ['aarch64', 0xc00000b7, 198, 279, 447],
  ] as const)
    it(`makes no memory that no limit counts, and sockets of the families that were declared: ${machine}`, () => {
      const calls = [
        [arch, memfd, 0],
        [arch, secret, 0],
        ...[1, 2, 10, 16, 17, 40].map((family) => [arch, socket, family]),
      ]
      const [none, far] = ['ENETUNREACH', 'allowed']
      assert.deepEqual(judge(machine, calls), ['EPERM', 'EPERM', far, none, none, none, none, none])
      assert.deepEqual(judge(machine, calls, { network: true }), [
        'EPERM',
        'EPERM',
        far,
        far,
        far,
        far,
        none,
        none,
      ])
    })

  it('is around TypeScript and what makes calls of Python, too, but for what their start takes', function () {
    if (process.arch !== 'x64') this.skip()
    const [arch, execve, mount, memfd, ptrace, socket] = [0xc000003e, 59, 165, 319, 101, 41]
    const calls = [execve, mount, memfd, ptrace].map((number) => [arch, number, 0])
    const filter = (network: boolean, walls: boolean) => {
      const bytes = systemCallFilter({ network, walls })
      assert.ok(bytes)
      return bytes.toString('hex')
    }
    assert.deepEqual(judge('x86_64', [...calls, [arch, socket, 2]], { filter: filter(false, false) }), [
      'allowed',
      'EPERM',
      'EPERM',
      'EPERM',
      'ENETUNREACH',
    ])
    assert.deepEqual(
      judge('x86_64', [...calls, [arch, socket, 2], [arch, socket, 40]], { filter: filter(true, true) }),
      ['allowed', 'allowed', 'EPERM', 'EPERM', 'allowed', 'ENETUNREACH'],
    )
  })

  it('knows the second set of numbers of x86_64', () => {
    assert.deepEqual(judge('x86_64', [[0xc000003e, 0x40000000 + 520, 0]]), ['ENOSYS'])
  })
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { dirname } from 'node:path'
import { findPython, type Interpreter } from '../../../shared/tools/python/interpreter.ts'
import { pythonScript } from '../../../shared/tools/python/script-path.ts'

/** Runs the filter as the kernel would, for calls of the system (architecture, number, first argument). */
const KERNEL = `
import json, sys
sys.path.insert(0, sys.argv[1])
import loci_seccomp
machine, pid = sys.argv[2], int(sys.argv[3])
steps = loci_seccomp.program(machine, pid)
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
names = {0x7fff0000: 'allowed', 0x80000000: 'killed', 0x50001: 'EPERM', 0x50026: 'ENOSYS'}
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

  const judge = (machine: string, calls: number[][]) =>
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

  it('knows the second set of numbers of x86_64', () => {
    assert.deepEqual(judge('x86_64', [[0xc000003e, 0x40000000 + 520, 0]]), ['ENOSYS'])
  })
})

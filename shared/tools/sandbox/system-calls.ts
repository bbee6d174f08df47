import table from '../python/loci_system_calls.json' with { type: 'json' }

/** On x86_64, and on aarch64. */
type Numbers = readonly (number | null)[]

const LOAD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const RETURN = 0x06
const ALLOW = 0x7fff0000
const KILL = 0x80000000
const EPERM = 0x00050001
const ENOSYS = 0x00050026
const ENETUNREACH = 0x00050065
const AT_NUMBER = 0
const AT_ARCHITECTURE = 4
const AT_FIRST_ARGUMENT = 16

/** Families of sockets: local ones, and those of a network with what names need. */
const LOCAL = [1]
const NETWORK = [1, 2, 10, 16]

const { architectures } = table
const MACHINES: Partial<Record<NodeJS.Architecture, keyof typeof architectures>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
}
const made = new Map<string, Buffer>()

/**
 * What the kernel itself refuses to all that runs behind bubblewrap, as the bytes of a filter that `--seccomp` takes: the
 * table of `loci_seccomp.py`, but for what starting the program takes; Python's own filter, inside, refuses that, too.
 * `walls`: the program makes namespaces of its own. Null where there is no filter for this machine.
 */
export function systemCallFilter({ network, walls }: { network: boolean; walls: boolean }): Buffer | null {
  const machine = MACHINES[process.arch]
  if (!machine) return null
  const key = `${network} ${walls}`
  const known = made.get(key)
  if (known) return known
  const filter = pack(steps(machine, network, walls))
  made.set(key, filter)
  return filter
}

/** Code, steps to jump when it is true and when not, value. */
type Step = readonly [code: number, yes: number, no: number, value: number]

function steps(machine: keyof typeof architectures, network: boolean, walls: boolean): Step[] {
  const [column = 0, architecture = 0] = architectures[machine]
  const when = (numbers: Numbers, answer: number): Step[] => {
    const number = numbers[column] ?? null
    if (number === null) return []
    return [
      [JUMP_EQUAL, 0, 1, number],
      [RETURN, 0, 0, answer],
    ]
  }
  const families = network ? NETWORK : LOCAL
  const refused: Numbers[] = [...Object.values(table.never), ...(walls ? [] : [table.walls.mount])]
  return [
    [LOAD, 0, 0, AT_ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, architecture],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, AT_NUMBER],
    // Calls of the x32 interface, which repeats all of them.
    ...(machine === 'x86_64'
      ? ([
          [JUMP_AT_LEAST, 0, 1, 0x40000000],
          [RETURN, 0, 0, ENOSYS],
        ] as const)
      : []),
    ...refused.flatMap((numbers) => when(numbers, EPERM)),
    // Its arguments are in memory, where a filter cannot look; without it the C library takes the older one.
    ...when(table.clone3, ENOSYS),
    [JUMP_EQUAL, 0, families.length + 3, table.socket[column] ?? 0],
    [LOAD, 0, 0, AT_FIRST_ARGUMENT],
    ...families.map((family, index): Step => [JUMP_EQUAL, families.length - index, 0, family]),
    [RETURN, 0, 0, ENETUNREACH],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, ALLOW],
  ]
}

function pack(steps: readonly Step[]): Buffer {
  const bytes = Buffer.alloc(steps.length * 8)
  for (const [index, [code, yes, no, value]] of steps.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(yes, index * 8 + 2)
    bytes.writeUInt8(no, index * 8 + 3)
    bytes.writeUInt32LE(value, index * 8 + 4)
  }
  return bytes
}

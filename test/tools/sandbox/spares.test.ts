import assert from 'node:assert/strict'
import { createGate } from '../../../shared/tools/sandbox/gate.ts'
import { createSpares } from '../../../shared/tools/sandbox/spares.ts'
import { openProcess, type WalledProcess } from '../../../shared/tools/sandbox/walled-process.ts'
import type { Wall, WalledCommand } from '../../../shared/tools/sandbox/walled-command.ts'
import { eventually } from '../../support/loci.ts'
import { testWalls } from '../../support/walls.ts'

/** Says that it is ready, and waits. */
const WAITING: WalledCommand = {
  command: process.execPath,
  args: [
    '-e',
    `const f = Buffer.from('{"type":"ready"}'), n = Buffer.alloc(4)
     n.writeUInt32BE(f.length)
     require('fs').writeSync(3, Buffer.concat([n, f]))
     new (require('net').Socket)({ fd: 3 }).on('close', () => process.exit()).resume()`,
  ],
  env: {},
  read: [process.execPath],
  write: [],
  network: false,
  limits: { memory_mb: 1024, cpu_s: 10, processes: 32, file_mb: 1, scratch_mb: 1 },
  pipes: 1,
}

describe('spare processes', () => {
  let wall: Wall
  const opened: WalledProcess[] = []
  before(async () => {
    ;[wall] = (await testWalls()) as [Wall]
  })
  const open = () => {
    const process = openProcess(wall, WAITING)
    opened.push(process)
    return process
  }
  afterEach(async () => {
    await Promise.all(opened.map((process) => process.end()))
    opened.length = 0
  })

  it('are there from the first call of a kind on, up to the cap', async () => {
    const spares = createSpares({ max: 2, idle_ms: 60_000 })
    assert.equal(spares.size, 0)
    assert.equal(spares.find('a', open), null)
    assert.equal(spares.size, 0)
    spares.refill('a')
    await eventually('two spares', () => (spares.size === 2 ? true : null))
    assert.equal(opened.length, 2)
    assert.equal(spares.take('a', open), opened[0])
    assert.equal(opened.length, 2)
    assert.ok(spares.take('b', open).alive)
    spares.refill('b')
    await eventually('a spare of the new kind, in the place of the old ones', () =>
      spares.size === 1 || spares.size === 2 ? true : null,
    )
    assert.ok(spares.size <= 2)
    await spares.close()
    assert.equal(spares.size, 0)
    spares.refill('a')
    assert.equal(spares.size, 0)
  })

  it('end when their kind had no call for a while', async () => {
    const spares = createSpares({ max: 2, idle_ms: 300 })
    spares.find('a', open)
    spares.refill('a')
    const [spare] = opened
    assert.ok(spare)
    await spare.gone
    assert.equal(spares.size, 0)
    await spares.close()
  })

  it('are not handed out when they have died', async () => {
    const spares = createSpares({ max: 1, idle_ms: 60_000 })
    spares.find('a', open)
    spares.refill('a')
    const [spare] = opened
    assert.ok(spare)
    await spare.end()
    assert.equal(spares.find('a', open), null)
    await spares.close()
  })

  it('tell what a process said that could not be started', async () => {
    const process = openProcess(wall, {
      ...WAITING,
      args: ['-e', `console.error('no such luck'); process.exit(3)`],
    })
    await assert.rejects(process.ready, /exit code 3\)\nno such luck/)
    assert.equal(process.alive, false)
  })
})

describe('a gate', () => {
  it('lets so many in, the others in their order, and none that has given up', async () => {
    const gate = createGate(1)
    const signal = new AbortController().signal
    const leave = await gate.enter(signal)
    const entered: string[] = []
    const given = new AbortController()
    const second = gate.enter(given.signal)
    const third = gate.enter(signal).then((leave) => {
      entered.push('third')
      return leave
    })
    given.abort(new Error('gave up'))
    await assert.rejects(second, /gave up/)
    assert.deepEqual(entered, [])
    leave()
    const last = await third
    assert.deepEqual(entered, ['third'])
    last()
    ;(await gate.enter(signal))()
  })
})

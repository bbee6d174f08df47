// Writes events into a store, each in a commit of its own: `event-writer.ts ADDRESS DIRECTORY COUNT PER_SECOND`; 0 a
// second is as fast as eight writers can. For scenarios/events.ts.
import { setTimeout } from 'node:timers/promises'
import { openPostgresStore } from '../shared/store/postgres/postgres-store.ts'
import { aBlock } from '../test/contracts/store/samples.ts'
import { ACTOR, inParallel } from './lib/fill.ts'

const WRITERS = 8

const [address = '', directory = '', count = '0', per_second = '0'] = process.argv.slice(2)
const store = await openPostgresStore({ address, directory })
const blocks: string[] = []
for (let i = 0; i < WRITERS; i++) blocks.push((await store.blocks.create(ACTOR, aBlock('notes', ''))).id)
const free = [...blocks]
const write = async (i: number) => {
  const id = free.pop()!
  await store.blocks.update(ACTOR, id, { value: String(i) })
  free.push(id)
}
console.log('ready')
await new Promise((resolve) => process.stdin.once('data', resolve))
const from = performance.now()
if (per_second === '0') await inParallel(Number(count), WRITERS, write)
else
  for (let i = 0; i < Number(count); i++) {
    await setTimeout(Math.max(0, from + (i * 1000) / Number(per_second) - performance.now()))
    await write(i)
  }
console.log(`wrote in ${performance.now() - from} ms`)
await store.close()
process.exit()

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, mkdir, mkdtemp, open, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { eventually, startLoci, type TestLoci } from '../support/loci.ts'
import { nobody, startServer, type TestServer } from './server.ts'

const run = promisify(execFile)
const TEXT = 'x'.repeat(1_000)

/** A small disk; the caller takes it away. Only root can make one. */
async function smallDisk(
  mb: number,
): Promise<{ path: string; fill(): Promise<void>; free(): Promise<void>; remove(): Promise<void> }> {
  if (process.getuid?.() !== 0)
    throw new Error('These tests need root: they mount a small tmpfs, as there is no other disk to fill.')
  const path = await mkdtemp(join(tmpdir(), 'loci-disk-'))
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mb}m,mode=0777`, 'tmpfs', path])
  const filler = join(path, 'filler')
  return {
    path,
    async fill() {
      const file = await open(filler, 'a')
      try {
        const zeros = Buffer.alloc(64 * 1024)
        for (;;) await file.write(zeros)
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
      } finally {
        await file.close()
      }
      const { bavail } = await statfs(path)
      assert.equal(bavail, 0)
    },
    free: () => rm(filler),
    async remove() {
      await run('umount', [path])
      await rm(path, { recursive: true })
    },
  }
}

describe('a PostgreSQL whose disk is full', function () {
  this.timeout(180_000)

  /** Writes until it is refused with 503, and says what was acknowledged. */
  async function fillUp(loci: TestLoci, said: RegExp): Promise<string[]> {
    const acknowledged: string[] = []
    for (let n = 0; n < 20_000; n++) {
      const label = `n${n}`
      const answer = await loci.http('POST', '/v1/blocks/', { label, value: TEXT })
      if (answer.status === 200) {
        acknowledged.push(label)
        continue
      }
      assert.equal(answer.status, 503, JSON.stringify(answer.body))
      assert.equal(answer.headers.get('retry-after'), '1')
      assert.match(JSON.stringify(answer.body), said)
      return acknowledged
    }
    throw new Error('the disk is not full')
  }

  async function stored(server: TestServer): Promise<Set<string>> {
    const client = new Client({ connectionString: server.address('loci') })
    await client.connect()
    try {
      const { rows } = await client.query("SELECT label FROM blocks WHERE label ~ '^n[0-9]+$'")
      return new Set((rows as { label: string }[]).map(({ label }) => label))
    } finally {
      await client.end()
    }
  }

  async function untilReady(loci: TestLoci): Promise<void> {
    await eventually(
      'it is ready',
      async () => ((await loci.http('GET', '/v1/ready')).status === 200 ? true : null),
      30_000,
    )
  }

  it('answers 503, reads on, loses nothing, and recovers when there is room: tables', async () => {
    const disk = await smallDisk(64)
    let server: TestServer | undefined
    let loci: TestLoci | undefined
    try {
      server = await startServer()
      const place = join(disk.path, 'tables')
      await mkdir(place)
      const user = await nobody()
      if (user) await chown(place, user.uid, user.gid)
      const admin = new Client({ connectionString: server.address('postgres') })
      await admin.connect()
      await admin.query(`CREATE TABLESPACE small LOCATION '${place}'`)
      await admin.query('CREATE DATABASE loci TEMPLATE template0 TABLESPACE small')
      await admin.end()
      loci = await startLoci({ env: { LOCI_STORE: server.address('loci') } })
      assert.equal((await loci.http('GET', '/v1/ready')).status, 200)
      const acknowledged: string[] = []
      for (let n = 0; n < 100; n++) {
        const label = `n100${n}`
        if ((await loci.http('POST', '/v1/blocks/', { label, value: TEXT })).status === 200)
          acknowledged.push(label)
      }
      assert.equal(acknowledged.length, 100)
      await disk.fill()
      acknowledged.push(...(await fillUp(loci, /its disk is full .*Nothing acknowledged is lost/)))
      assert.equal((await loci.http('GET', '/v1/blocks/?limit=5')).status, 200)
      const ready = await loci.http('GET', '/v1/ready')
      assert.equal(ready.status, 503)
      assert.match(JSON.stringify(ready.body), /its disk is full/)
      await disk.free()
      await untilReady(loci)
      const again = await loci.http('POST', '/v1/blocks/', { label: 'n-again', value: TEXT })
      assert.equal(again.status, 200)
      const there = await stored(server)
      assert.deepEqual(
        acknowledged.filter((label) => !there.has(label)),
        [],
      )
      assert.deepEqual(loci.failures, [])
      console.log(`      ${acknowledged.length} acknowledged before the disk was full`)
    } finally {
      await loci?.close()
      await server?.stop()
      await disk.remove()
    }
  })

  it('survives that PostgreSQL gives up when there is no room for its log', async () => {
    const disk = await smallDisk(160)
    let server: TestServer | undefined
    let loci: TestLoci | undefined
    try {
      const small = { max_wal_size: '32MB', min_wal_size: '32MB', wal_recycle: 'off', wal_init_zero: 'on' }
      server = await startServer(undefined, small, null, { parent: disk.path })
      await server.create('loci')
      loci = await startLoci({ env: { LOCI_STORE: server.address('loci') } })
      const made = await loci.http('POST', '/v1/blocks/', { label: 'first', value: TEXT })
      assert.equal(made.status, 200)
      await disk.fill()
      const acknowledged: string[] = []
      let refused = 0
      const until = Date.now() + 30_000
      const churn = new Client({ connectionString: server.address('loci') })
      churn.on('error', () => undefined)
      await churn.connect()
      // Somebody else fills the log; what it holds is of no interest.
      const filling = (async () => {
        for (;;) await churn.query("SELECT pg_logical_emit_message(false, 'x', repeat('x', 4000000))")
      })().catch(() => undefined)
      for (let n = 0; refused === 0 && Date.now() < until; n++) {
        const answer = await loci.http('POST', '/v1/blocks/', { label: `n${n}`, value: TEXT })
        if (answer.status === 200) acknowledged.push(`n${n}`)
        else {
          assert.equal(answer.status, 503, JSON.stringify(answer.body))
          refused++
        }
      }
      assert.ok(refused > 0, 'the log is not full')
      await filling
      await churn.end().catch(() => undefined)
      const ready = await loci.http('GET', '/v1/ready')
      assert.equal(ready.status, 503)
      await disk.free()
      const ended = server.hasEnded()
      // Where its recovery had no room either it has ended; an operator starts it again.
      if (ended) await (await server.down())()
      await untilReady(loci)
      const again = await loci.http('POST', '/v1/blocks/', { label: 'n-again', value: TEXT })
      assert.equal(again.status, 200)
      const there = await stored(server)
      assert.deepEqual(
        acknowledged.filter((label) => !there.has(label)),
        [],
      )
      console.log(
        `      ${acknowledged.length} acknowledged before; PostgreSQL ${ended ? 'had ended' : 'recovered by itself'}`,
      )
    } finally {
      await loci?.close()
      await server?.stop()
      await disk.remove()
    }
  })
})

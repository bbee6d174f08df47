import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { LyingUpload, UploadStore } from '../../shared/core/ports/upload-store.ts'
import { newId } from '../../shared/schema/ids.ts'

/** A fresh store for one test, as two machines have it where they can share it. */
export interface UploadWorld {
  uploads: UploadStore
  /** The same, of another machine; the same object where there is only one. */
  other: UploadStore
  close(): Promise<void>
}

const never = new AbortController().signal

/** Pieces as they come from a socket: none of a size that the store would choose. */
async function put(uploads: UploadStore, file_id: string, content: Uint8Array): Promise<void> {
  const incoming = await uploads.begin(file_id)
  const reused = new Uint8Array(100_003)
  for (let at = 0; at < content.length; at += reused.length) {
    const some = content.subarray(at, at + reused.length)
    reused.set(some)
    await incoming.write(reused.subarray(0, some.length))
    // The bytes are the caller's again.
    reused.fill(0)
  }
  await incoming.finish()
}

/** All that lies in a store. */
export async function allOf(uploads: UploadStore): Promise<LyingUpload[]> {
  const found: LyingUpload[] = []
  for await (const some of uploads.lying()) found.push(...some)
  return found
}

/** What every `UploadStore` does. `wrong_ages`: why it cannot be asked here how old something unfinished is. */
export function describeUploads(
  name: string,
  make: () => Promise<UploadWorld>,
  { wrong_ages }: { wrong_ages?: string } = {},
): void {
  describe(name, () => {
    let world: UploadWorld
    beforeEach(async () => {
      world = await make()
    })
    afterEach(() => world.close())

    const sizes = {
      nothing: 0,
      'one byte': 1,
      'a megabyte': 1024 * 1024,
      'parts of several megabytes': 20_000_019,
    }
    for (const [title, size] of Object.entries(sizes))
      it(`keeps ${title} as it came, for whoever shares the store`, async () => {
        const content = randomBytes(size)
        const id = newId('file')
        await put(world.uploads, id, content)
        const upload = await world.other.fetch(id, { signal: never })
        assert.ok(upload)
        const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
        assert.equal(hash(await readFile(upload.path)), hash(content))
        await upload.close()
        await world.other.discard(id)
        assert.equal(await world.uploads.fetch(id, { signal: never }), null)
        assert.deepEqual(await allOf(world.uploads), [])
        assert.deepEqual(await readdir(dirname(upload.path)), [], 'no copy is left')
      })

    it('shows nothing of an upload before all of it has come', async () => {
      const id = newId('file')
      const incoming = await world.uploads.begin(id)
      await incoming.write(randomBytes(10_000_000))
      assert.equal(await world.other.fetch(id, { signal: never }), null)
      await incoming.finish()
      const upload = await world.other.fetch(id, { signal: never })
      assert.equal((await readFile(upload?.path ?? '')).length, 10_000_000)
      await upload?.close()
    })

    it('leaves nothing of one that is aborted', async () => {
      for (const size of [10, 10_000_000]) {
        const incoming = await world.uploads.begin(newId('file'))
        await incoming.write(randomBytes(size))
        await incoming.abort()
      }
      assert.deepEqual(await allOf(world.uploads), [])
    })

    it('tells of what lies there, and forgets what a dead process has begun', async () => {
      const id = newId('file')
      await put(world.uploads, id, randomBytes(3))
      // Nobody finishes it.
      const begun = await world.uploads.begin(newId('file'))
      await begun.write(randomBytes(17_000_000))
      const lying = await allOf(world.other)
      assert.equal(lying.length, 2)
      assert.ok(lying.some(({ name }) => name === id))
      for (const { name, quiet_ms } of lying)
        if (name === id || wrong_ages === undefined)
          assert.ok(quiet_ms > -5_000 && quiet_ms < 60_000, `${quiet_ms}`)
      for (const { name } of lying) await world.other.discard(name)
      assert.deepEqual(await allOf(world.uploads), [])
      // A file's handle would be closed by the garbage collector.
      await begun.abort()
    })

    it('holds what has a name that nobody has heard of for nothing', async () => {
      const id = newId('file')
      assert.equal(await world.uploads.fetch(id, { signal: never }), null)
      await world.uploads.discard(id)
    })

    it('keeps several apart that come at once', async () => {
      const all = await Promise.all(
        Array.from({ length: 5 }, async (_, i) => {
          const id = newId('file')
          await put(i % 2 === 0 ? world.uploads : world.other, id, Buffer.alloc(2_000_000, i))
          return id
        }),
      )
      assert.deepEqual((await allOf(world.uploads)).map(({ name }) => name).toSorted(), all.toSorted())
      for (const [i, id] of all.entries()) {
        const upload = await world.uploads.fetch(id, { signal: never })
        assert.ok((await readFile(upload?.path ?? '')).every((byte) => byte === i))
        assert.ok(basename(upload?.path ?? '').startsWith(id))
        await upload?.close()
      }
    })

    it('stops fetching when it is told to', async () => {
      const id = newId('file')
      await put(world.uploads, id, randomBytes(1_000))
      const stopped = AbortSignal.abort(new Error('enough'))
      // A file that is here already takes no time.
      const fetched = await world.uploads.fetch(id, { signal: stopped }).catch((error: unknown) => error)
      if (fetched instanceof Error) assert.equal(fetched.message, 'enough')
    })

    it('says that it can be used', () => world.uploads.check({ signal: never }))
  })
}

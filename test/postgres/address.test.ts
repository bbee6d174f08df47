import assert from 'node:assert/strict'
import { readAddress } from '../../shared/store/postgres/address.ts'

describe('the address of a database', () => {
  it('is read with what is ours in it taken out', () => {
    const read = readAddress(
      'postgres://ada:s%40cret@db:6432/loci?pool=3&sslmode=require&direct=db:5432&listen=off',
    )
    assert.equal(read.place, 'db:6432/loci')
    assert.equal(read.pooled.connectionString, 'postgres://ada:s%40cret@db:6432/loci?sslmode=require')
    assert.equal(read.direct.connectionString, 'postgres://ada:s%40cret@db:5432/loci?sslmode=require')
    assert.deepEqual([read.pool_size, read.pool_wait_ms, read.stays], [3, 5000, false])
    assert.equal(read.prepares, null)
    assert.equal(readAddress('postgres://db/loci?prepare=off').prepares, false)
  })

  it('on a socket is called by its folder, and never by its password', () => {
    const read = readAddress('postgresql://ada:secret@localhost/loci?host=%2Frun%2Fpg')
    assert.equal(read.place, 'localhost/loci')
    assert.equal(read.direct.connectionString, read.pooled.connectionString)
    assert.doesNotMatch(read.place, /secret/)
  })

  it('is refused with a sentence that has no password in it', () => {
    for (const address of [
      'mysql://ada:secret@db/loci',
      'postgres://ada:secret@db/loci?pool=0',
      'postgres://ada:secret@db/loci?prepare=maybe',
      'loci.db',
    ])
      assert.throws(
        () => readAddress(address),
        (error: Error) => {
          assert.doesNotMatch(error.message, /secret/)
          assert.equal((error as Error & { code?: string }).code, 'invalid_argument')
          return true
        },
      )
  })
})

import assert from 'node:assert/strict'
import { Client } from 'pg'
import { withoutSecrets } from '../../shared/config/store-address.ts'
import { Redactor } from '../../shared/server/redact.ts'
import { readAddress } from '../../shared/store/postgres/address.ts'
import { startLoci } from '../support/loci.ts'

describe('the address of a database', () => {
  it('is read with what is ours in it taken out', () => {
    const read = readAddress(
      'postgres://ada:s%40cret@db:6432/loci?pool=3&sslmode=require&direct=db:5432&listen=off',
    )
    assert.equal(read.place, 'db:6432/loci')
    assert.equal(read.direct_place, 'db:5432/loci')
    const tls = 'sslmode=require&uselibpqcompat=true'
    assert.equal(read.pooled.connectionString, `postgres://ada:s%40cret@db:6432/loci?${tls}`)
    assert.equal(read.direct.connectionString, `postgres://ada:s%40cret@db:5432/loci?${tls}`)
    assert.equal(read.tools, 'postgres://ada@db:6432/loci?sslmode=require')
    assert.deepEqual([read.pool_size, read.pool_wait_ms, read.stays], [3, 5000, false])
    assert.equal(read.prepares, null)
    assert.equal(readAddress('postgres://db/loci?prepare=off').prepares, false)
  })

  it('on a socket is called by its folder, and never by its password', () => {
    const read = readAddress('postgresql://ada:secret@localhost/loci?host=%2Frun%2Fpg')
    assert.equal(read.place, '/run/pg/loci')
    assert.equal(read.direct.connectionString, read.pooled.connectionString)
    assert.doesNotMatch(read.place, /secret/)
  })

  const reached = (address: string, way: 'pooled' | 'direct' = 'pooled') => {
    const { user, password, host, port, database } = new Client(readAddress(address, {})[way])
    return { user, password, host, port, database }
  }

  it('is where it says, whatever the password is', () => {
    for (const password of [
      'p@ss',
      '@',
      'p:w',
      ':@:',
      'a/b',
      'a%b',
      '100%',
      '%zz',
      '%25',
      'a?b',
      'a#b',
      'ä €',
      "'&=+",
    ])
      for (const database of ['loci', 'a@b', 'a b', '50%', 'ä/b:c&d=e'])
        for (const [where, host, place] of [
          ['db:6432', 'db', 'db:6432'],
          ['[::1]:6432', '::1', '[::1]:6432'],
          ['localhost:6432', '/run/my pg', '/run/my pg:6432'],
        ] as const) {
          const query = host.startsWith('/') ? `?host=${encodeURIComponent(host)}` : ''
          const name = encodeURIComponent(database)
          const address = `postgres://ada:${encodeURIComponent(password)}@${where}/${name}${query}`
          assert.deepEqual(reached(address), { user: 'ada', password, host, port: 6432, database })
          assert.equal(readAddress(address, {}).place, `${place}/${database}`)
          assert.equal(new Client({ connectionString: readAddress(address, {}).tools }).host, host)
        }
  })

  it('may have an unescaped @ or : in its password, and none of it is shown', () => {
    for (const password of ['se@cret', 'se@@cret', '@secret', 'se:c@ret', 'secret@'])
      for (const query of ['', '?direct=other:5433']) {
        const read = readAddress(`postgres://ada:${password}@db:6432/loci${query}`, {})
        assert.equal(read.place, 'db:6432/loci')
        assert.equal(read.tools, 'postgres://ada@db:6432/loci')
        assert.equal(reached(`postgres://ada:${password}@db:6432/loci${query}`).password, password)
        const direct = reached(`postgres://ada:${password}@db:6432/loci${query}`, 'direct')
        assert.deepEqual(
          [direct.host, direct.port, direct.password],
          query === '' ? ['db', 6432, password] : ['other', 5433, password],
        )
      }
  })

  it('is refused when the password has an unescaped character that ends it', () => {
    for (const password of [
      '12/secret',
      'a/secret',
      '12?secret',
      '12#secret',
      'x@y/secret',
      'x@12?pool=secret',
      '1,/secret',
    ])
      for (const place of ['db/loci', 'db:5432/loci?pool=3', '/loci?host=/run/pg'])
        assert.throws(
          () => readAddress(`postgres://ada:${password}@${place}`, {}),
          (error: Error & { code?: string }) => {
            assert.doesNotMatch(error.message, /secret|12|x@y/)
            return error.code === 'invalid_argument'
          },
          password,
        )
  })

  it('is shown by config.json and logs without any of its password', () => {
    for (const password of ['secret', 'se@cret', 'a/secret', '12?secret', 'x@y/secret', '12#secret']) {
      const address = `postgres://ada:${password}@db:6432/loci?pool=3`
      assert.equal(withoutSecrets(address), 'postgres://***@db:6432/loci?pool=3')
      if (!/[/?#]/.test(password))
        assert.equal(new Redactor().hide(`at ${address}`), 'at postgres://ada:***@db:6432/loci?pool=3')
    }
  })

  it('takes the forms that libpq takes', () => {
    const forms: [string, string][] = [
      ['postgresql://ada:pw@/loci?host=/run/pg', '/run/pg/loci'],
      ['postgres://ada@%2Frun%2Fpg/loci', '/run/pg/loci'],
      ['postgres:///loci?host=/run/pg&port=5433', '/run/pg:5433/loci'],
      ['postgres:///loci', 'localhost/loci'],
      ['postgres://db/loci?user=ada&password=secret', 'db/loci'],
      ['postgres://ada@db', 'db/ada'],
      ['postgres://ada@db/loci?sslmode=require&channel_binding=require&connect_timeout=10', 'db/loci'],
    ]
    for (const [address, place] of forms) assert.equal(readAddress(address, {}).place, place, address)
    const pasted = 'postgres://ada@db/loci?pgbouncer=true&connection_limit=1&schema=public&supa=x'
    assert.equal(readAddress(pasted, {}).pooled.connectionString, 'postgres://ada@db/loci')
    assert.equal(reached('postgresql://ada:pw@/loci?host=/run/pg').host, '/run/pg')
    assert.equal(
      readAddress('postgres:///', { PGHOST: 'db', PGPORT: '5433', PGDATABASE: 'x' }).place,
      'db:5433/x',
    )
    const socket = 'postgres://ada@localhost:6432/loci?host=/run/pg&direct='
    assert.equal(readAddress(`${socket}localhost:5432`, {}).direct_place, '/run/pg:5432/loci')
    assert.equal(readAddress(`${socket}db:5432`, {}).direct_place, 'db:5432/loci')
    assert.equal(reached(`${socket}db:5432`, 'direct').host, 'db')
  })

  it('is refused when something in it would not be followed', () => {
    const refused: [string, RegExp][] = [
      ['?poool=3', /option poool that Loci does not know/],
      ['?sslcrl=x.pem', /option sslcrl/],
      ['?schema=other', /option schema/],
      ['?direct=h:notaport', /direct= .* is not host:port/],
      ['?direct=h:5432/other', /direct= .* is not host:port/],
      ['?direct=h:70000', /direct= .* is not host:port/],
      ['?port=x', /cannot be read: its port is no number/],
      ['?host=a,b', /several hosts/],
      ['?sslmode=verify', /sslmode .* is none of/],
      ['?sslmode=verify-ca', /needs sslrootcert=FILE/],
      ['?sslmode=require&sslrootcert=system', /verify-full only/],
    ]
    for (const [query, said] of refused)
      assert.throws(() => readAddress(`postgres://ada:secret@db/loci${query}`, {}), said, query)
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

  it('is not the only setting that is refused when it is no number', async () => {
    await assert.rejects(
      startLoci({ env: { LOCI_STALE_AFTER_MS: 'abc' } }),
      /LOCI_STALE_AFTER_MS is abc, and not a whole number/,
    )
  })
})

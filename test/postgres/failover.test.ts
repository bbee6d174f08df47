import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Client } from 'pg'
import { eventually, SCRIPTED, startLoci } from '../support/loci.ts'
import { startScriptedModel } from '../support/scripted-model.ts'
import { startForwarder } from './forwarder.ts'
import { startServer } from './server.ts'

const WRITERS = 4

describe('a failover to a replica', function () {
  this.timeout(180_000)

  it('answers 503 and reads on until the replica is promoted; nothing acknowledged is lost with synchronous replication', async () => {
    const primary = await startServer()
    await primary.create('loci')
    const replica = await startServer(undefined, {}, null, { replicaOf: primary })
    const admin = new Client({ connectionString: primary.address('postgres') })
    await admin.connect()
    admin.on('error', () => undefined)
    await admin.query("ALTER SYSTEM SET synchronous_standby_names = 'replica'")
    await admin.query('SELECT pg_reload_conf()')
    await eventually('the replica is synchronous', async () => {
      const { rows } = await admin.query('SELECT sync_state FROM pg_stat_replication')
      return (rows as { sync_state: string }[])[0]?.sync_state === 'sync' ? true : null
    })
    const way = await startForwarder(join(primary.folder, '.s.PGSQL.5432'))
    const model = await startScriptedModel([], { loop: () => ({ text: 'Here.' }) })
    const loci = await startLoci({
      model_url: model.url,
      env: { LOCI_STORE: `postgres://loci@127.0.0.1:${way.port}/loci` },
    })
    try {
      const agent = await loci.letta.agents.create({ name: 'ada', model: SCRIPTED })
      const acknowledged: string[] = []
      const refused: string[] = []
      const stop = new AbortController()
      let n = 0
      const write = async () => {
        while (!stop.signal.aborted) {
          const label = `n${n++}`
          const answer = await loci.http('POST', '/v1/blocks/', { label, value: '' })
          if (answer.status === 200) acknowledged.push(label)
          else {
            assert.equal(answer.status, 503, JSON.stringify(answer.body))
            assert.equal(answer.headers.get('retry-after'), '1')
            refused.push(JSON.stringify(answer.body))
          }
        }
      }
      const writers = Array.from({ length: WRITERS }, write)
      await eventually('writes are acknowledged', () => (acknowledged.length > 100 ? true : null))
      await primary.down()
      way.to(join(replica.folder, '.s.PGSQL.5432'))
      const before = acknowledged.length
      await eventually('reads go on', async () =>
        (await loci.http('GET', `/v1/agents/${agent.id}`)).status === 200 ? true : null,
      )
      await eventually('writes are refused', () => (refused.length >= WRITERS ? true : null), 30_000)
      assert.ok(
        refused.some((body) => /read-only replica.*Point Loci to the primary/.test(body)),
        refused.join('\n'),
      )
      // Answers of what was committed just before were still on their way.
      assert.ok(acknowledged.length <= before + WRITERS, `${acknowledged.length}, not ${before}`)
      const ready = await loci.http('GET', '/v1/ready')
      assert.equal(ready.status, 503)
      assert.match(JSON.stringify(ready.body), /read-only replica/)
      const promoting = new Client({ connectionString: replica.address('postgres') })
      await promoting.connect()
      await promoting.query('SELECT pg_promote()')
      await promoting.end()
      await eventually('writes go on', () => (acknowledged.length > before + 20 ? true : null), 30_000)
      stop.abort()
      await Promise.all(writers)
      assert.equal((await loci.http('GET', '/v1/ready')).status, 200)
      const { rows } = await (async () => {
        const client = new Client({ connectionString: replica.address('loci') })
        await client.connect()
        try {
          return await client.query("SELECT label FROM blocks WHERE label ~ '^n[0-9]+$'")
        } finally {
          await client.end()
        }
      })()
      const stored = (rows as { label: string }[]).map(({ label }) => label)
      assert.equal(new Set(stored).size, stored.length, 'a block was made twice')
      const there = new Set(stored)
      assert.deepEqual(
        acknowledged.filter((label) => !there.has(label)),
        [],
      )
      const answer = await loci.letta.agents.messages.create(agent.id, { input: 'hi' })
      assert.match(JSON.stringify(answer.messages), /Here\./)
      console.log(
        `      ${before} acknowledged before, ${acknowledged.length - before} after, ${refused.length} refused meanwhile`,
      )
    } finally {
      await loci.close()
      await model.close()
      await way.close()
      await admin.end().catch(() => undefined)
      await replica.stop()
      await primary.stop()
    }
  })
})

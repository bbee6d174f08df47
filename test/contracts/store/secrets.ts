import assert from 'node:assert/strict'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { ADA, anAgent, EVE } from './samples.ts'

export function describeSecrets(subject: Subject): void {
  describe('secrets of agents', () => {
    it('come with the agent, in the order given, and are read by name or all', async () => {
      const { store } = subject
      const secrets = { TOKEN: 's3cret 🔑', EMPTY: '', ALPHA: 'a'.repeat(5000) }
      const agent = await store.agents.create(ADA, anAgent('ada', { secrets }))
      assert.deepEqual(await store.secrets.values(ADA, agent.id), secrets)
      assert.deepEqual(await store.secrets.names(ADA, agent.id), ['TOKEN', 'EMPTY', 'ALPHA'])
      const read = await store.agents.get(ADA, agent.id, ['agent.secrets'])
      assert.deepEqual(
        read?.secrets?.map(({ key, value, agent_id }) => [key, value, agent_id]),
        Object.entries(secrets).map(([key, value]) => [key, value, agent.id]),
      )
      assert.deepEqual(read?.secrets, agent.secrets)
      assert.equal((await store.agents.get(ADA, agent.id, []))?.secrets, undefined)
      const [listed] = await store.agents.list(ADA, {}, { limit: 1, order: 'asc' }, ['agent.secrets'])
      assert.deepEqual(listed?.secrets, read?.secrets)
    })

    it('are replaced as a whole; those that stay as they are keep their row', async () => {
      const { store } = subject
      const { id, secrets: first } = await store.agents.create(
        ADA,
        anAgent('ada', { secrets: { KEEP: 'same', CHANGE: 'old', DROP: 'gone' } }),
      )
      const changed = await store.agents.update(ADA, id, {
        secrets: { CHANGE: 'new', KEEP: 'same', MORE: 'x' },
      })
      const rows = new Map(changed?.secrets?.map((row) => [row.key, row]))
      assert.deepEqual([...rows.keys()], ['CHANGE', 'KEEP', 'MORE'])
      const before = new Map(first?.map((row) => [row.key, row]))
      assert.equal(rows.get('KEEP')?.id, before.get('KEEP')?.id)
      assert.equal(rows.get('CHANGE')?.id, before.get('CHANGE')?.id)
      const untouched = await store.agents.update(ADA, id, { name: 'still ada' })
      assert.deepEqual(untouched?.secrets, changed?.secrets)
      await store.agents.update(ADA, id, { secrets: {} })
      assert.deepEqual(await store.secrets.values(ADA, id), {})
    })

    it('go with their agent, and are nobody else’s', async () => {
      const { store } = subject
      const { id } = await store.agents.create(ADA, anAgent('ada', { secrets: { A: 'b' } }))
      assert.deepEqual(await store.secrets.values(EVE, id), {})
      assert.deepEqual(await store.secrets.names(EVE, id), [])
      assert.equal(await store.agents.update(EVE, id, { secrets: { A: 'stolen' } }), null)
      assert.deepEqual(await store.secrets.values(ADA, id), { A: 'b' })
      await store.agents.delete(ADA, id)
      assert.deepEqual(await store.secrets.values(ADA, id), {})
      assert.deepEqual(await store.secrets.names(ADA, newId('agent')), [])
    })

    it('tell nobody in the events', async () => {
      const { store } = subject
      const from = await store.events.lastId()
      await store.agents.create(ADA, anAgent('ada', { secrets: { NAME_OF_IT: 'value of it' } }))
      const told: unknown[] = []
      for await (const event of store.events.watch(ADA, from, { signal: AbortSignal.timeout(20_000) })) {
        told.push(event)
        break
      }
      assert.match(JSON.stringify(told), /agent\.created/)
      assert.doesNotMatch(JSON.stringify(told), /NAME_OF_IT|value of it/)
    })
  })
}

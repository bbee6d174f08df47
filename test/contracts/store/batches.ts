import assert from 'node:assert/strict'
import type { BatchClaim } from '../../../shared/core/ports/batch-store.ts'
import type { Store } from '../../../shared/core/ports/store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { Subject } from '../store.contract.ts'
import { ADA, EVE } from './samples.ts'

const page = { limit: 50, order: 'asc' } as const
const queue = { at_once: 4, at_providers: 2, except: new Set<string>() }

export function describeBatches(subject: Subject): void {
  const create = (agent_ids: string[], callback_url: string | null = null, provider_batch = false) =>
    subject.store.batches.create(ADA, {
      id: newId('job'),
      callback_url,
      provider_batch,
      items: agent_ids.map((agent_id) => ({ id: newId('batch_item'), agent_id, request: { input: 'Hi' } })),
    })
  const claim = async (options = queue): Promise<BatchClaim> => {
    const claimed = await subject.store.batches.claim(options)
    assert.ok(claimed)
    return claimed
  }
  const states = async (batch_id: string) =>
    (await subject.store.batches.items(ADA, batch_id, page)).map(({ status }) => status)

  describe('batches', () => {
    it('go by their own limit when their calls go through batches of providers, until one is asked locally', async () => {
      const { batches } = subject.store
      const batch = await create(
        [1, 2, 3].map(() => newId('agent')),
        null,
        true,
      )
      assert.deepEqual(batch.metadata.provider_batch, { local_requests: 0, local_reason: null })
      const first = await claim({ ...queue, at_once: 1 })
      assert.equal(first.provider_batch, true)
      await claim({ ...queue, at_once: 1 })
      assert.equal(await batches.claim({ ...queue, at_once: 1 }), null)
      const usual = await create([newId('agent')])
      assert.equal(usual.metadata.provider_batch, undefined)
      await batches.askedLocally(EVE, first.item_id, 'not hers')
      assert.equal(await batches.claim({ ...queue, at_once: 0 }), null)
      await batches.askedLocally(ADA, first.item_id, 'it has none')
      const state = (await batches.get(ADA, batch.id))?.metadata.provider_batch
      assert.deepEqual(state, { local_requests: 1, local_reason: 'it has none' })
      // It counts as a usual one now, so that the third one may begin and the usual one may not.
      assert.equal((await claim({ ...queue, at_once: 1 })).batch_id, batch.id)
      assert.equal(await batches.claim({ ...queue, at_once: 1 }), null)
      assert.equal((await claim({ ...queue, at_once: 2 })).batch_id, usual.id)
    })

    it('know which calls wait in which batch of a provider, and when nobody waits there any more', async () => {
      const { provider_calls } = subject.store
      const call = (n: number, run_id: string) => ({
        custom_id: `call-${newId('job')}`,
        run_id,
        request_hash: `hash ${n}`,
        handle: 'openai/test-model',
      })
      const [one, two] = [newId('run'), newId('run')]
      const calls = [call(1, one), call(2, two)]
      const ids = calls.map(({ custom_id }) => custom_id)
      for (const item of calls) await provider_calls.add(ADA, item)
      assert.equal(await provider_calls.find(ADA, one, 'hash 1'), null, 'it has not been sent')
      assert.equal(await provider_calls.sent(ids, 'batch_1'), true)
      const found = await provider_calls.find(ADA, one, 'hash 1')
      assert.deepEqual(found, { custom_id: ids[0], provider_batch_id: 'batch_1' })
      assert.equal(await provider_calls.find(ADA, one, 'hash 2'), null)
      assert.equal(await provider_calls.find(EVE, one, 'hash 1'), null)
      assert.deepEqual(await provider_calls.runEnded(EVE, one), [])
      assert.deepEqual(await provider_calls.runEnded(ADA, one), [], 'the other one waits')
      assert.equal(await provider_calls.find(ADA, one, 'hash 1'), null)
      const left = { provider_batch_id: 'batch_1', handle: 'openai/test-model' }
      assert.deepEqual(await provider_calls.runEnded(ADA, two), [left])
      assert.equal(await provider_calls.sent(ids, 'batch_2'), false, 'nobody wants them any more')
      const answered = call(3, one)
      await provider_calls.add(ADA, answered)
      await provider_calls.sent([answered.custom_id], 'batch_3')
      await provider_calls.given(answered.custom_id)
      assert.notEqual(await provider_calls.find(ADA, one, 'hash 3'), null)
      assert.deepEqual(await provider_calls.runEnded(ADA, one), [])
      const refused = call(4, one)
      await provider_calls.add(ADA, refused)
      await provider_calls.unsent([refused.custom_id])
      assert.equal(await provider_calls.sent([refused.custom_id], 'batch_4'), false)
    })

    it('are stored and listed, each in its organisation alone', async () => {
      const { batches } = subject.store
      const agents = [newId('agent'), newId('agent')]
      const one = await create(agents)
      const two = await create(agents.slice(0, 1), 'http://127.0.0.1/done')
      assert.deepEqual([one.status, one.job_type, one.created_by_id], ['running', 'batch', ADA.user_id])
      assert.deepEqual(one.metadata.requests, {
        total: 2,
        pending: 2,
        running: 0,
        completed: 0,
        failed: 0,
        cancelled: 0,
      })
      assert.equal(two.callback_url, 'http://127.0.0.1/done')
      assert.deepEqual(await batches.get(ADA, one.id), one)
      assert.deepEqual(await batches.list(ADA, page), [one, two])
      assert.deepEqual(await batches.list(ADA, { ...page, after: one.id }), [two])
      assert.deepEqual(await batches.list(ADA, { limit: 1, order: 'desc' }), [two])
      const items = await batches.items(ADA, one.id, page)
      assert.deepEqual(
        items.map(({ agent_id, status, run_id, error }) => [agent_id, status, run_id, error]),
        agents.map((id) => [id, 'pending', null, null]),
      )
      assert.deepEqual(await batches.items(ADA, one.id, { ...page, after: items[0]?.id }), items.slice(1))
      assert.equal(await batches.get(EVE, one.id), null)
      assert.deepEqual(await batches.list(EVE, page), [])
      assert.deepEqual(await batches.items(EVE, one.id, page), [])
      assert.equal(await batches.cancel(EVE, one.id), null)
    })

    it('are done in order, one request of an agent at a time, so many at once', async () => {
      const { batches } = subject.store
      const [a, b, c] = [newId('agent'), newId('agent'), newId('agent')]
      const batch = await create([a, a, b, c])
      const first = await claim()
      assert.deepEqual(first.actor, ADA)
      assert.deepEqual([first.agent_id, first.run_id, first.request], [a, null, { input: 'Hi' }])
      assert.equal((await claim({ ...queue, except: new Set([b]) })).agent_id, c)
      assert.equal(await batches.claim({ ...queue, at_once: 2 }), null)
      const third = await claim()
      assert.equal(third.agent_id, b)
      assert.equal(await batches.claim(queue), null, 'the agent of what is left has one running')
      assert.deepEqual(await states(batch.id), ['running', 'pending', 'running', 'running'])
      await batches.release(third)
      assert.equal((await claim()).item_id, third.item_id)
      const run_id = newId('run')
      assert.equal(await batches.begun(first, run_id), 'held')
      assert.deepEqual(
        await batches.itemsOfRuns(ADA, batch.id, [run_id, newId('run')]),
        new Map([[run_id, first.item_id]]),
      )
      assert.ok(await batches.finish(first, { status: 'completed' }))
      assert.equal(await batches.finish(first, { status: 'completed' }), false)
      assert.equal((await claim()).agent_id, a)
    })

    it('end with their last request: completed when one was, failed when none was', async () => {
      const { batches } = subject.store
      const error = { type: 'llm_error', message: 'it broke', detail: '' }
      const mixed = await create([newId('agent'), newId('agent')])
      await batches.finish(await claim(), { status: 'failed', error })
      assert.equal((await batches.get(ADA, mixed.id))?.completed_at, null)
      await batches.finish(await claim(), { status: 'completed' })
      const end = await batches.get(ADA, mixed.id)
      assert.deepEqual([end?.status, end?.stop_reason], ['completed', 'end_turn'])
      assert.ok(end?.completed_at != null)
      assert.deepEqual((await batches.items(ADA, mixed.id, page))[0]?.error, error)
      const lost = await create([newId('agent')])
      await batches.finish(await claim(), { status: 'failed', error })
      const failed = await batches.get(ADA, lost.id)
      assert.deepEqual([failed?.status, failed?.stop_reason], ['failed', 'error'])
      await assert.rejects(batches.cancel(ADA, lost.id), { code: 'conflict' })
    })

    it('are cancelled: what waits ends at once, what runs is named and told', async () => {
      const { batches } = subject.store
      const batch = await create([newId('agent'), newId('agent'), newId('agent'), newId('agent')])
      const [known, unknown, released] = [await claim(), await claim(), await claim()]
      const run_id = newId('run')
      await batches.begun(known, run_id)
      assert.deepEqual(await batches.cancel(ADA, batch.id), [run_id])
      assert.deepEqual(await states(batch.id), ['running', 'running', 'running', 'cancelled'])
      assert.equal(await batches.begun(unknown, newId('run')), 'cancelled')
      await batches.release(released)
      assert.equal((await batches.get(ADA, batch.id))?.completed_at, null)
      await batches.finish(known, { status: 'cancelled' })
      await batches.finish(unknown, { status: 'completed' })
      const end = await batches.get(ADA, batch.id)
      assert.deepEqual([end?.status, end?.metadata.requests.completed], ['cancelled', 1])
      assert.ok(end?.completed_at != null)
      assert.deepEqual(await states(batch.id), ['cancelled', 'completed', 'cancelled', 'cancelled'])
      assert.deepEqual(await batches.cancel(ADA, batch.id), [], 'once more is no error')
    })

    it('are called back for by one process, until how that went is kept', async () => {
      const { batches } = subject.store
      await create([newId('agent')])
      const told = await create([newId('agent')], 'http://127.0.0.1/done')
      await batches.finish(await claim(), { status: 'completed' })
      assert.equal(await batches.takeCallback(), null)
      await batches.finish(await claim(), { status: 'completed' })
      const callback = await batches.takeCallback()
      assert.deepEqual(
        [callback?.batch.id, callback?.url, callback?.actor],
        [told.id, 'http://127.0.0.1/done', ADA],
      )
      assert.ok(callback)
      assert.equal(await batches.takeCallback(), null)
      const outcome = {
        callback_sent_at: new Date().toISOString(),
        callback_status_code: 200,
        callback_error: null,
      }
      await batches.saveCallback(callback, outcome)
      assert.equal(await batches.takeCallback(), null)
      assert.equal((await batches.get(ADA, told.id))?.callback_status_code, 200)
    })

    it('are called back for however many others are being called for', async () => {
      const { batches } = subject.store
      const told: string[] = []
      for (let i = 0; i < 102; i++) {
        told.push((await create([newId('agent')], 'http://127.0.0.1/done')).id)
        await batches.finish(await claim(), { status: 'completed' })
      }
      const taken: (string | undefined)[] = []
      for (const _ of told) taken.push((await batches.takeCallback())?.batch.id)
      assert.deepEqual(taken.toSorted(), told.toSorted())
      assert.equal(await batches.takeCallback(), null)
    })

    it('survive the process that worked on them: another takes what it left, with its run', async function () {
      if (!subject.reopen) return this.skip()
      const batch = await create([newId('agent'), newId('agent')], 'http://127.0.0.1/done')
      const other = await subject.reopen()
      const held = await other.batches.claim(queue)
      assert.ok(held)
      const run_id = newId('run')
      await other.batches.begun(held, run_id)
      const mine = await claim()
      assert.notEqual(mine.item_id, held.item_id)
      assert.equal(await subject.store.batches.claim(queue), null, 'it is alive')
      await other.close()
      const left = await claim({ ...queue, at_once: 1 })
      assert.deepEqual([left.item_id, left.run_id, left.attempt], [held.item_id, run_id, 1])
      await subject.store.batches.finish(mine, { status: 'completed' })
      await subject.store.batches.finish(left, { status: 'completed' })
      const third = await subject.reopen()
      assert.ok(await third.batches.takeCallback())
      assert.equal(await subject.store.batches.takeCallback(), null)
      await third.close()
      assert.equal((await subject.store.batches.takeCallback())?.batch.id, batch.id)
    })

    it('give a request up that ends its process three times before it has begun', async function () {
      if (!subject.reopen) return this.skip()
      const batch = await create([newId('agent')])
      for (let attempt = 1; attempt <= 3; attempt++) {
        const dying: Store = await subject.reopen()
        assert.equal((await dying.batches.claim(queue))?.attempt, attempt)
        await dying.close()
      }
      assert.equal(await subject.store.batches.claim(queue), null)
      const [item] = await subject.store.batches.items(ADA, batch.id, page)
      assert.match(item?.error?.message ?? '', /3 times in a row/)
      assert.equal((await subject.store.batches.get(ADA, batch.id))?.status, 'failed')
    })
  })
}

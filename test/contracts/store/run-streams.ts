import assert from 'node:assert/strict'
import type { RunChunks } from '../../../shared/core/ports/run-stream-store.ts'
import type { Store } from '../../../shared/core/ports/store.ts'
import type { OpenTurn } from '../../../shared/core/ports/turn-store.ts'
import type { Subject } from '../store.contract.ts'
import { aCommit, ADA, aMessage, anAgent, aRun, DONE, EVE } from './samples.ts'

/** Chunks numbered from `first` to `last`. */
function chunks(first: number, last: number): RunChunks {
  const text = Array.from({ length: last - first + 1 }, (_, i) => `data: {"seq_id":${first + i}}\n\n`).join(
    '',
  )
  return { first_seq: first, count: last - first + 1, text }
}
const numbers = (text: string) => [...text.matchAll(/"seq_id":(\d+)/g)].map((match) => Number(match[1]))
const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

export function describeRunStreams(subject: Subject): void {
  async function begin(more: Partial<OpenTurn> = {}, store: Store = subject.store) {
    const agent = await subject.store.agents.create(ADA, anAgent('ada'))
    return { ...(await again(agent.id, more, store)), agent }
  }
  async function again(agent_id: string, more: Partial<OpenTurn> = {}, store: Store = subject.store) {
    const run = aRun(agent_id, { background: true })
    const opened = await store.turns.open(ADA, {
      run,
      conversation_id: agent_id,
      messages: [aMessage(agent_id, 'user', 'go')],
      recorded: true,
      ...more,
    })
    const place = { run_id: run.id, conversation_id: agent_id, epoch: opened.epoch }
    return { run, opened, place }
  }

  describe('streams of runs', () => {
    it('are read from any chunk on, and say how the run stands', async () => {
      const { store } = subject
      const { run, opened, place } = await begin()
      const empty = await store.streams.read(ADA, run.id, 0, 10)
      assert.deepEqual([empty?.state, empty?.text, empty?.last_seq], ['stored', '', 0])
      await store.streams.append(ADA, { ...place, ...chunks(1, 10) })
      await store.streams.append(ADA, { ...place, ...chunks(11, 15) })
      // A run that was taken over skips numbers.
      await store.streams.append(ADA, { ...place, ...chunks(100, 103) })
      const all = [...range(1, 15), ...range(100, 103)]
      for (const after of [0, 1, 9, 10, 12, 15, 50, 101, 103, 500]) {
        const read = await store.streams.read(ADA, run.id, after, 1000)
        assert.deepEqual(
          numbers(read?.text ?? ''),
          all.filter((n) => n > after),
          `after ${after}`,
        )
        assert.equal(read?.read_to, Math.max(after, 103))
        assert.deepEqual([read?.first_seq, read?.last_seq, read?.run.status], [1, 103, 'running'])
      }
      const few = await store.streams.read(ADA, run.id, 2, 3)
      assert.deepEqual(numbers(few?.text ?? ''), range(3, 10), 'about as many as asked for')
      assert.equal(few?.read_to, 10)
      await store.turns.commit(ADA, aCommit(opened, run, { chunks: { ...chunks(104, 105) }, finish: DONE }))
      const end = await store.streams.read(ADA, run.id, 103, 10)
      assert.deepEqual([numbers(end?.text ?? ''), end?.run.status], [[104, 105], 'completed'])
    })

    it('are read in small parts also where much was stored at once', async () => {
      const { store } = subject
      const { run, place } = await begin()
      await store.streams.append(ADA, { ...place, ...chunks(1, 20_000) })
      let read = 0
      for (let after = 0; after < 20_000;) {
        const part = await store.streams.read(ADA, run.id, after, 100)
        assert.ok(part && part.text.length < 100_000, `${part?.text.length} characters`)
        assert.deepEqual(numbers(part.text), range(after + 1, part.read_to))
        read += part.read_to - after
        after = part.read_to
      }
      assert.equal(read, 20_000)
      const tail = await store.streams.read(ADA, run.id, 19_990, 100)
      assert.deepEqual(numbers(tail?.text ?? ''), range(19_991, 20_000))
      assert.equal((await store.streams.read(ADA, run.id, 5, 0))?.text, '')
    })

    it('are of runs that were opened so, and of their organisation', async () => {
      const { store } = subject
      const { run, place } = await begin({ recorded: false })
      assert.equal((await store.streams.read(ADA, run.id, 0, 10))?.state, 'none')
      assert.equal(await store.streams.read(EVE, run.id, 0, 10), null)
      assert.equal(await store.streams.read(ADA, 'run-nope', 0, 10), null)
      await assert.rejects(store.streams.append(EVE, { ...place, ...chunks(1, 1) }), { code: 'lease_lost' })
    })

    it('take nothing from whoever lost the run', async () => {
      const { store } = subject
      const { run, opened, place } = await begin()
      await assert.rejects(store.streams.append(ADA, { ...place, epoch: place.epoch - 1, ...chunks(1, 1) }), {
        code: 'lease_lost',
      })
      await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      await assert.rejects(store.streams.append(ADA, { ...place, ...chunks(1, 1) }), { code: 'lease_lost' })
      assert.equal((await store.streams.read(ADA, run.id, 0, 10))?.last_seq, 0)
    })

    it('forget their beginning when they grow too long', async () => {
      const { store } = subject
      const { run, place } = await begin()
      await store.streams.append(ADA, { ...place, ...chunks(1, 10) })
      await store.streams.append(ADA, { ...place, ...chunks(11, 20), keep_from: 5 })
      const whole = await store.streams.read(ADA, run.id, 0, 100)
      assert.deepEqual(
        [whole?.first_seq, whole?.trimmed],
        [1, false],
        'a part that is still wanted stays whole',
      )
      await store.streams.append(ADA, { ...place, ...chunks(21, 30), keep_from: 11 })
      const left = await store.streams.read(ADA, run.id, 0, 100)
      assert.deepEqual([left?.first_seq, left?.trimmed, left?.state], [11, true, 'stored'])
    })

    it('are pruned some time after the end, and only then', async () => {
      const { store } = subject
      const { run, opened, place, agent } = await begin({ otids: ['o'] })
      await store.streams.append(ADA, { ...place, ...chunks(1, 10) })
      const later = new Date(Date.parse(DONE.completed_at) + 1000)
      await store.streams.prune(later)
      assert.equal((await store.streams.read(ADA, run.id, 0, 10))?.state, 'stored', 'it runs')
      await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      await store.streams.prune(new Date(Date.parse(DONE.completed_at)))
      assert.equal((await store.streams.read(ADA, run.id, 0, 10))?.state, 'stored')
      await store.streams.prune(later)
      const pruned = await store.streams.read(ADA, run.id, 0, 10)
      assert.deepEqual([pruned?.state, pruned?.text], ['pruned', ''])
      assert.equal(await store.streams.findRun(ADA, agent.id, 'o'), null)
    })

    it('go with their run', async () => {
      const { store } = subject
      const { run, opened } = await begin()
      await store.turns.commit(ADA, aCommit(opened, run, { chunks: chunks(1, 2), finish: DONE }))
      assert.equal(await store.turns.deleteRun(ADA, run.id), true)
      assert.equal(await store.streams.read(ADA, run.id, 0, 10), null)
    })
  })

  describe('otids', () => {
    it('open one run, however often they come, until it has failed', async () => {
      const { store } = subject
      const { run, opened, agent } = await begin({ otids: ['a', 'b'] })
      const same = { code: 'already_started', data: { run_id: run.id } }
      await assert.rejects(again(agent.id, { otids: ['a', 'b'] }), same)
      await assert.rejects(again(agent.id, { otids: ['b'] }), same)
      await assert.rejects(again(agent.id, { otids: ['a', 'c'] }), { code: 'conversation_busy' })
      assert.equal(await store.streams.findRun(ADA, agent.id, 'b'), run.id)
      assert.equal(await store.streams.findRun(EVE, agent.id, 'b'), null)
      await store.turns.commit(ADA, aCommit(opened, run, { finish: DONE }))
      await assert.rejects(again(agent.id, { otids: ['a', 'b'] }), same, 'also when it has ended')
      const next = await again(agent.id, { otids: ['a', 'c'] })
      assert.equal(await store.streams.findRun(ADA, agent.id, 'a'), next.run.id)
      const failed = { ...DONE, status: 'failed', stop_reason: 'error' } as const
      await store.turns.commit(ADA, aCommit(next.opened, next.run, { finish: failed }))
      await again(agent.id, { otids: ['a', 'c'] })
    })
  })

  describe('a request that is repeated', () => {
    const first = { key: 'k', again: false, named: false }
    const repeated = { ...first, again: true }
    const ended = (seconds: number, status: 'completed' | 'failed') => ({
      ...DONE,
      status,
      completed_at: new Date(Date.now() - seconds * 1000).toISOString(),
    })

    it('finds the run that it has begun while it runs, in any process', async () => {
      const { store, reopen } = subject
      const { run, agent } = await begin({ request: first })
      const same = { code: 'already_started', data: { run_id: run.id } }
      await assert.rejects(again(agent.id, { request: repeated }), same)
      await assert.rejects(again(agent.id, { request: { ...first, named: true } }), same)
      const busy = { code: 'conversation_busy' }
      await assert.rejects(again(agent.id, { request: first }), busy, 'its client says that it is another')
      await assert.rejects(again(agent.id, { request: { ...repeated, key: 'other' } }), busy)
      await assert.rejects(again(agent.id), busy)
      if (!reopen) return
      const elsewhere = await reopen()
      await assert.rejects(again(agent.id, { request: repeated }, elsewhere), same)
      await elsewhere.close()
      assert.equal((await store.turns.getRun(ADA, run.id))?.status, 'running')
    })

    it('finds it for a time when it has ended: longer when it failed, and longest by names of its own', async () => {
      const cases = [
        { seconds: 5, status: 'completed', named: false, found: true },
        { seconds: 15, status: 'completed', named: false, found: false },
        { seconds: 30, status: 'failed', named: false, found: true },
        { seconds: 90, status: 'failed', named: false, found: false },
        { seconds: 90, status: 'completed', named: true, found: true },
        { seconds: 900, status: 'completed', named: true, found: false },
      ] as const
      for (const { seconds, status, named, found } of cases) {
        const { run, opened, agent } = await begin({ request: { ...first, named } })
        const finish = ended(seconds, status)
        await subject.store.turns.commit(ADA, aCommit(opened, run, { finish }))
        const asked = again(agent.id, { request: { ...repeated, named } })
        if (found) await assert.rejects(asked, { code: 'already_started', data: { run_id: run.id } })
        else assert.notEqual((await asked).run.id, run.id)
      }
    })

    it('does not find it once another turn has begun', async () => {
      const { store } = subject
      const { run, opened, agent } = await begin({ request: first })
      await store.turns.commit(ADA, aCommit(opened, run, { finish: ended(0, 'completed') }))
      const next = await again(agent.id)
      await store.turns.commit(ADA, aCommit(next.opened, next.run, { finish: ended(0, 'completed') }))
      await again(agent.id, { request: repeated })
    })

    it('whose process is gone finds the run until it is failed, and after', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const gone = await reopen()
      const { run, agent } = await begin({ request: first }, gone)
      await gone.close()
      const same = { code: 'already_started', data: { run_id: run.id } }
      await assert.rejects(again(agent.id, { request: repeated }), same)
      assert.deepEqual(await store.turns.recover(), [run.id])
      await assert.rejects(again(agent.id, { request: repeated }), same)
      assert.equal((await store.turns.getRun(ADA, run.id))?.status, 'failed')
    })
  })

  describe('runs that others can go on with', () => {
    const RESUME = { user_id: 'user-x', request: { max_steps: 3 } }

    it('keep their conversation until one does, and are fenced then', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const gone = await reopen()
      const { run, opened, place, agent } = await begin({ resume: RESUME }, gone)
      await gone.streams.append(ADA, { ...place, ...chunks(1, 7) })
      assert.deepEqual(await store.turns.interrupted(), [])
      assert.equal(await store.turns.takeOver(run.id, { max_attempts: 3 }), null, 'its process lives')
      await gone.close()
      assert.deepEqual(await store.turns.recover(), [])
      await assert.rejects(again(agent.id), { code: 'conversation_busy' })
      assert.deepEqual(await store.turns.interrupted(), [run.id])
      const taken = await store.turns.takeOver(run.id, { max_attempts: 3 })
      assert.ok(taken)
      assert.deepEqual(
        [
          taken.resume,
          taken.last_seq,
          taken.steps,
          taken.cancel_requested,
          taken.run.id,
          taken.conversation_id,
        ],
        [RESUME, 7, 0, false, run.id, agent.id],
      )
      assert.ok(taken.opened.epoch > opened.epoch)
      assert.equal(taken.opened.context.at(-1)?.role, 'user')
      assert.deepEqual(await store.turns.interrupted(), [])
      assert.equal(await store.turns.takeOver(run.id, { max_attempts: 3 }), null, 'once')
      await store.turns.commit(ADA, aCommit(taken.opened, run, { finish: DONE }))
      assert.equal((await store.turns.getRun(ADA, run.id))?.status, 'completed')
    })

    it('are given up when nothing comes of it', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const first = await reopen()
      const { run, agent } = await begin({ resume: RESUME }, first)
      await first.close()
      const attempts: number[] = []
      for (let n = 0; n < 2; n++) {
        const next = await reopen()
        // By which the numbers of its chunks keep clear of those that each process before may have sent.
        const taken = await next.turns.takeOver(run.id, { max_attempts: 2 })
        attempts.push(taken?.attempt ?? 0)
        await next.close()
      }
      assert.deepEqual(attempts, [1, 2])
      assert.equal(await store.turns.takeOver(run.id, { max_attempts: 2 }), null)
      const failed = await store.turns.getRun(ADA, run.id)
      assert.equal(failed?.status, 'failed')
      assert.match(String(failed?.metadata?.['error']), /3 times in a row/)
      assert.deepEqual(await store.turns.interrupted(), [])
      await again(agent.id)
    })

    it('are not given up while steps are committed, or when their process ends in good order', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const first = await reopen()
      const { run, place } = await begin({ resume: RESUME }, first)
      await first.streams.append(ADA, { ...place, ...chunks(1, 0), leaving: true })
      const early = await store.turns.takeOver(run.id, { max_attempts: 1 })
      assert.ok(early, 'at once')
      await first.close()
      await store.streams.append(ADA, { ...place, epoch: early.opened.epoch, ...chunks(1, 0), leaving: true })
      for (let attempt = 1; attempt <= 3; attempt++) {
        const next = await reopen()
        const taken = await next.turns.takeOver(run.id, { max_attempts: 1 })
        assert.ok(taken, `attempt ${attempt}`)
        await next.turns.commit(ADA, aCommit(taken.opened, run, { chunks: chunks(attempt, attempt) }))
        await next.close()
      }
    })

    it('are cancelled by whoever goes on with them when that was asked for', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const gone = await reopen()
      const { run } = await begin({ resume: RESUME }, gone)
      await gone.close()
      assert.equal(await store.turns.requestCancel(ADA, run.id), true)
      const taken = await store.turns.takeOver(run.id, { max_attempts: 3 })
      assert.equal(taken?.cancel_requested, true)
    })
  })

  describe('changes', () => {
    it('of any process are heard of, and no more once nobody listens', async function () {
      const { store, reopen } = subject
      if (!reopen) return this.skip()
      const other = await reopen()
      const { place } = await begin({}, other)
      let heard = 0
      let wake = () => {}
      const stop = store.events.onChange(() => {
        heard++
        wake()
      })
      const next = new Promise<void>((resolve) => {
        wake = resolve
      })
      await other.streams.append(ADA, { ...place, ...chunks(1, 1) })
      await next
      stop()
      assert.ok(heard >= 1)
      await other.close()
    })
  })
}

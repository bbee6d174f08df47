import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentEvent } from '../../shared/core/events.ts'
import type { Store } from '../../shared/core/ports/store.ts'
import { followRun } from '../../shared/core/runs/follow.ts'
import { RunRecording } from '../../shared/core/runs/recording.ts'
import { openSqliteStore } from '../../shared/store/sqlite/sqlite-store.ts'
import { aCommit, ADA, anAgent, aRun, DONE } from '../contracts/store/samples.ts'

const never = new AbortController().signal
const delta = (text: string): AgentEvent => ({ type: 'text_delta', step_id: 's', message_id: 'm', text })

describe('the recording of a run', () => {
  let directory: string
  let store: Store
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'loci-recording-'))
    store = await openSqliteStore({ directory })
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  async function begin(max_chunks = 100_000) {
    const agent = await store.agents.create(ADA, anAgent('ada'))
    const run = aRun(agent.id, { background: true })
    const opened = await store.turns.open(ADA, {
      run,
      conversation_id: agent.id,
      messages: [],
      recorded: true,
    })
    const failures: unknown[] = []
    const recording = new RunRecording(
      {
        actor: ADA,
        run_id: run.id,
        conversation_id: agent.id,
        epoch: opened.epoch,
        first_seq: 1,
        encoder: {
          encode: (event, seq) =>
            event.type === 'text_delta'
              ? { text: `data: ${seq} ${event.text}\n\n`, count: 1 }
              : { text: '', count: 0 },
        },
        max_chunks,
        onFailure: (_, error) => failures.push(error),
      },
      store,
    )
    return { run, opened, recording, failures }
  }
  const read = async (recording: RunRecording, run_id: string, after = 0) => {
    let text = ''
    const options = { after, batch_size: 500, signal: never, closing: never }
    for await (const part of followRun(store, () => recording, ADA, run_id, options))
      if (part.type === 'chunks') text += part.text
    return [...text.matchAll(/data: (\d+) /g)].map((match) => Number(match[1]))
  }

  it('keeps the newest chunks only, whoever reads: nobody, a fast reader, one that comes late', async () => {
    const { run, opened, recording, failures } = await begin()
    const fast = read(recording, run.id)
    for (let i = 1; i <= 30_000; i++) {
      await recording.add(delta('word'))
      if (i % 100 === 0) await new Promise(setImmediate)
    }
    assert.ok(30_000 - recording.from < 10_000, `memory begins with ${recording.from}`)
    const late = read(recording, run.id, 10)
    await recording.commit(ADA, aCommit(opened, run, { finish: DONE }))
    const all = Array.from({ length: 30_000 }, (_, i) => i + 1)
    assert.deepEqual(await fast, all)
    assert.deepEqual(await late, all.slice(10))
    assert.deepEqual(await read(recording, run.id, 29_990), all.slice(29_990))
    assert.ok(30_000 - recording.from < 3_000, 'and less once it is stored')
    assert.deepEqual(failures, [])
  })

  it('forgets the beginning of a stream beyond its limit', async () => {
    const { run, opened, recording } = await begin(1000)
    for (let part = 0; part < 5; part++) {
      for (let i = 0; i < 600; i++) await recording.add(delta('x'))
      await recording.commit(ADA, aCommit(opened, run, {}))
    }
    const stored = await store.streams.read(ADA, run.id, 0, 1)
    assert.deepEqual([stored?.trimmed, stored?.first_seq, stored?.last_seq], [true, 1801, 3000])
  })

  it('commits nothing more once it was left to another process', async () => {
    const { run, opened, recording } = await begin()
    await recording.add(delta('said'))
    await recording.handOver()
    await recording.add(delta('unheard'))
    await assert.rejects(recording.commit(ADA, aCommit(opened, run, { finish: DONE })), {
      code: 'lease_lost',
    })
    const stored = await store.streams.read(ADA, run.id, 0, 10)
    assert.deepEqual([stored?.last_seq, stored?.run.status], [1, 'running'])
  })
})

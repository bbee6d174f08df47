import assert from 'node:assert/strict'
import { startLoci, type TestLoci } from './loci.ts'
import { type ScriptedModel, type ScriptedModelOptions, startScriptedModel } from './scripted-model.ts'

/** What the tests of a suite speak to. */
export interface ScriptedLoci {
  model: ScriptedModel
  t: TestLoci
}

interface Running {
  model: ScriptedModel
  /** Over one data directory. */
  all: [TestLoci, ...TestLoci[]]
  /** Stops all of it, the last one first, whatever fails. */
  closing: AsyncDisposableStack
}

async function start(options: ScriptedModelOptions): Promise<Running> {
  await using closing = new AsyncDisposableStack()
  const model = await startScriptedModel([], options)
  closing.defer(() => model.close())
  const t = await startLoci({ model_url: model.url })
  closing.defer(() => t.close())
  return { model, all: [t], closing: closing.move() }
}

/** Another Loci over the same data directory. */
async function startBeside({ model, all, closing }: Running): Promise<TestLoci> {
  const other = await startLoci({ model_url: model.url, data: all[0].data })
  closing.defer(() => other.close())
  all.push(other)
  return other
}

/** Stops first, so that nothing is left running; then the script must have been kept to and Loci not have failed. */
async function finish(running: Running, failed: boolean): Promise<void> {
  await running.closing.disposeAsync()
  if (failed) return
  await running.model.done()
  assert.deepEqual(
    running.all.flatMap(({ failures }) => failures),
    [],
    'failures that Loci called its own',
  )
}

/** Hooks of the suite around: one Loci with a scripted model for all its tests, handed to `take` before the first. */
export function withLoci(take: (started: ScriptedLoci) => void, options: ScriptedModelOptions = {}): void {
  let running: Running
  before(async () => {
    running = await start(options)
    take({ model: running.model, t: running.all[0] })
  })
  after(() => finish(running, false))
}

/** The same with two Locis over one data directory. */
export function withTwoLoci(take: (started: ScriptedLoci & { other: TestLoci }) => void): void {
  let running: Running
  before(async () => {
    running = await start({})
    take({ model: running.model, t: running.all[0], other: await startBeside(running) })
  })
  after(() => finish(running, false))
}

/** A fresh Loci for each test. What a failed test left of its script is not reported beside it. */
export function withLociEach(
  take: (started: ScriptedLoci) => void,
  options: ScriptedModelOptions = {},
): void {
  let running: Running
  beforeEach(async () => {
    running = await start(options)
    take({ model: running.model, t: running.all[0] })
  })
  afterEach(function () {
    return finish(running, this.currentTest?.state === 'failed')
  })
}

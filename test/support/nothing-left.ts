/**
 * Root hook of every run of mocha: a file of tests that leaves a server or a child process running fails. Files that run
 * in parallel would not be told apart otherwise: their processes are ended whatever is left in them.
 */
const STOPPED_BY_TESTS = new Set([
  'TCPServerWrap',
  'PipeServerWrap',
  'ProcessWrap',
  'FSEventWrap',
  'StatWatcher',
])
const WAIT_MS = 5_000
/** After this time what is left keeps the run from ending no longer: it has failed, and others wait for it. */
const END_MS = 30_000
/** Files that run in parallel share processes, which mocha ends. */
const SHARED = process.env['MOCHA_WORKER_ID'] !== undefined
/** What an earlier file of this process was told of already. */
const told: string[] = []

function left(): string[] {
  const known = [...told]
  return process.getActiveResourcesInfo().filter((kind) => {
    if (!STOPPED_BY_TESTS.has(kind)) return false
    const at = known.indexOf(kind)
    if (at !== -1) known.splice(at, 1)
    return at === -1
  })
}

export const mochaHooks = {
  async afterAll(this: Mocha.Context): Promise<void> {
    // What was told to stop may take a moment.
    for (const end = Date.now() + WAIT_MS; left().length > 0 && Date.now() < end;)
      await new Promise((resolve) => setTimeout(resolve, 20))
    const kinds = left()
    if (kinds.length === 0) return
    told.push(...kinds)
    if (!SHARED) setTimeout(() => process.exit(1), END_MS).unref()
    const files = new Set(this.test?.parent?.suites.map((suite) => suite.file))
    const of = files.size === 1 ? [...files][0] : `${files.size} files`
    throw new Error(`left running after the tests of ${of}: ${kinds.join(', ')}`)
  },
}

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

function left(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => STOPPED_BY_TESTS.has(kind))
}

export const mochaHooks = {
  async afterAll(this: Mocha.Context): Promise<void> {
    // What was told to stop may take a moment.
    for (const end = Date.now() + WAIT_MS; left().length > 0 && Date.now() < end;)
      await new Promise((resolve) => setTimeout(resolve, 20))
    if (left().length === 0) return
    setTimeout(() => process.exit(1), END_MS).unref()
    const files = new Set(this.test?.parent?.suites.map((suite) => suite.file))
    const of = files.size === 1 ? [...files][0] : `${files.size} files`
    throw new Error(`left running after the tests of ${of}: ${left().join(', ')}`)
  },
}

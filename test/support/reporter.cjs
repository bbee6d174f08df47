// The usual report; for whoever adds several runs up, one line of counts in $LOCI_TEST_RESULTS, and what failed, with
// its reason, in the file beside it whose name ends in `.failures`.
const { appendFileSync } = require('node:fs')
const { reporters, Runner } = require('mocha')

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const file = process.env.LOCI_TEST_RESULTS
    if (!file) return
    runner.on(Runner.constants.EVENT_TEST_FAIL, (test, error) => {
      const said = String(error?.stack ?? error)
        .split('\n')
        .slice(0, 12)
      const told = [`- ${test.fullTitle()} (${test.file ?? 'unknown file'})`, ...said].join('\n    ')
      appendFileSync(`${file}.failures`, `${told}\n`)
    })
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats
      appendFileSync(file, `${JSON.stringify({ passes, failures, pending })}\n`)
    })
  }
}

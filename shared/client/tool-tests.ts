/** What became of one unit test of a tool, or what the tests have printed: a line of `loci tools test --json`. */
export type TestReport = TestOutcome | { output: string }

export interface TestOutcome {
  /** The file of the test, absolute. */
  file: string
  /** The test, after the suites or classes that it stands in; empty for the file as a whole, which could not be run. */
  name: string[]
  state: 'passed' | 'failed' | 'skipped'
  /** Milliseconds. */
  duration: number
  /** Why it failed; null for the others. */
  failure: TestFailure | null
}

export interface TestFailure {
  message: string
  /** Where it happened, outermost last. */
  stack: string | null
  /** The line of the test's file, from 1. */
  line: number | null
  /** Both, where two values should have been equal. */
  expected: string | null
  actual: string | null
}

/** The reports in these lines; what is none, such as what a library prints, is output. */
export function parseReport(line: string): TestReport {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && ('state' in value || 'output' in value))
      return value as TestReport
  } catch {
    // Not ours: shown as it is.
  }
  return { output: `${line}\n` }
}

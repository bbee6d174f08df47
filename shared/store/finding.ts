/** One thing that was looked at. `error`: Loci cannot work so, or will lose something. */
export interface Finding {
  check: string
  status: 'ok' | 'warning' | 'error'
  message: string
  /** What to do; with every finding that is not ok. */
  mend?: string
  /** The figures behind the message. */
  data?: Record<string, unknown>
}

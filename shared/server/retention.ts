import type { RetentionStore } from '../core/ports/retention-store.ts'
import { type RetentionKind, retentionKind, type RetentionReport } from '../schema/retention.ts'

/** After how many days each kind goes; null: never. */
export type RetentionRules = Readonly<Record<RetentionKind, number | null>>

const DAY_MS = 86_400_000

/** The rules of config.json, where each is `KIND_days`. */
export function retentionRules(
  settings: Readonly<Record<`${RetentionKind}_days`, number | null>>,
): RetentionRules {
  return {
    messages: settings.messages_days,
    runs: settings.runs_days,
    batches: settings.batches_days,
    events: settings.events_days,
    usage: settings.usage_days,
  }
}

/** What the rules would delete now; nothing is. */
export function planRetention(
  store: RetentionStore,
  rules: RetentionRules,
  now: Date,
): Promise<RetentionReport> {
  return byRule(rules, now, (kind, before) => store.countOlder(kind, before))
}

/** Deletes what is older than the rules say, until `signal` aborts. Answers how many of each kind went. */
export function applyRetention(
  store: RetentionStore,
  rules: RetentionRules,
  now: Date,
  options: { signal: AbortSignal },
): Promise<RetentionReport> {
  return byRule(rules, now, (kind, before) => store.deleteOlder(kind, before, options))
}

async function byRule(
  rules: RetentionRules,
  now: Date,
  work: (kind: RetentionKind, before: Date) => Promise<number>,
): Promise<RetentionReport> {
  const report: RetentionReport = { rules: [] }
  for (const kind of retentionKind.options) {
    const days = rules[kind]
    const before = days === null ? null : new Date(now.getTime() - days * DAY_MS)
    const count = before === null ? 0 : await work(kind, before)
    report.rules.push({ kind, days, before: before?.toISOString() ?? null, count })
  }
  return report
}

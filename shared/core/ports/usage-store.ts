import type { UsageCounts, UsageGroup, UsageInterval, UsageKey } from '../../schema/usage.ts'
import type { Actor } from './actor.ts'

/** Which usage is read, and how it is added up. */
export interface UsageQuery {
  /** Of every organisation, for the owner of the server. */
  anywhere?: boolean
  /** Hours since 1970, UTC: from the first, up to the second without it. */
  hours: { from: number; to: number }
  agent_id?: string | undefined
  user_id?: string | undefined
  /** A handle, `provider/model`. */
  model?: string | undefined
  group_by: readonly UsageGroup[]
  /** Null: the whole span is one. */
  interval: UsageInterval | null
  /** Of the groups, only these. */
  only?: readonly UsageKey[]
}

export interface UsageRow extends UsageKey, UsageCounts {
  /** The first hour of its interval; that of the span without one. */
  hour: number
}

/**
 * What the steps of an organisation used, or, where `anywhere` says so, of all: counted with each step's commit, by the hour, user, agent and model. What is
 * counted stays when its steps, runs, agents and users are deleted.
 */
export interface UsageStore {
  /** A row for each interval and group in which something was used, in order of time. */
  read(actor: Actor, query: UsageQuery): Promise<UsageRow[]>
}

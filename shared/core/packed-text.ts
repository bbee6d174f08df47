import type { PackedType } from '../schema/message-text.ts'
import { formatLocalTime } from './prompt.ts'

/** A message as agents of the older types read it: JSON with its type first and the local time last. */
export function packText(
  type: PackedType,
  fields: Record<string, string>,
  at: { date: Date; timezone: string },
): string {
  return JSON.stringify({ type, ...fields, time: formatLocalTime(at.date, at.timezone) })
}

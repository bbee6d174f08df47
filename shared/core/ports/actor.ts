/** Who acts. Every row belongs to an organisation and no query crosses it. */
export interface Actor {
  user_id: string
  organization_id: string
}

export interface Clock {
  now(): Date
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number
}

import type { ContractTest } from '../../support/contract.ts'

/** A method of the official client, and a call of it that shows its effect. */
export interface Method {
  /** Dotted, as on the client: `agents.blocks.attach`. */
  name: string
  /** What the call shows, as the end of "agents.blocks.attach: …". */
  shows: string
  /** Calls the method and asserts what it did; the answers' shapes are checked by the recorder. */
  run(t: ContractTest): Promise<void>
}

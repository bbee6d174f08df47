/** Lets everything else that waits have its turn: work on a long context comes in pieces of some milliseconds. */
export function giveWay(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}

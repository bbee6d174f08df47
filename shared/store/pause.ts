/** Leaves the event loop to others for this many milliseconds; 0 lets what is waiting run first. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms > 0) setTimeout(resolve, ms)
    else setImmediate(resolve)
  })
}

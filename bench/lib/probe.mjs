// Preloaded into a measured server (`--import`): tells the benchmark over the process channel what it used so far.
// JavaScript, as the bare server is: stripping types would cost the measured process time and memory.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How often the event loop is looked at, in milliseconds: a stall is known to that precision. */
const RESOLUTION = 1

const delay = monitorEventLoopDelay({ resolution: RESOLUTION })
/** The longest that this thread has computed at a stretch, in milliseconds: what of a stall is not the machine's. */
let longest_work_ms = 0
if (process.env.BENCH_STALLS === '1') {
  delay.enable()
  let before = process.threadCpuUsage()
  setInterval(() => {
    const now = process.threadCpuUsage()
    longest_work_ms = Math.max(longest_work_ms, (now.user + now.system - before.user - before.system) / 1000)
    before = now
  }, RESOLUTION).unref()
}

function held() {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

process.on('message', (message) => {
  if (message !== 'loci-bench-probe' && message !== 'loci-bench-held') return
  const held_mb = message === 'loci-bench-held' ? held() : null
  const cpu = process.cpuUsage()
  process.send?.({
    cpu_ms: (cpu.user + cpu.system) / 1000,
    rss_mb: process.memoryUsage.rss() / 2 ** 20,
    // The histogram counts from one tick of its timer to the next.
    held_mb,
    longest_stall_ms: Math.max(0, delay.max / 1e6 - RESOLUTION),
    longest_work_ms,
  })
  delay.reset()
  longest_work_ms = 0
})
// Listening keeps the process alive; it should end when it would without us.
process.channel?.unref()

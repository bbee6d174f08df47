import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ANY_ENGINE } from '../../bench/scenarios.ts'

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url))

interface Measured {
  size: string
  failed: string[]
  rows: { scenario: string; what: string; unit: string; value: unknown; floor?: unknown; store: string }[]
}

/**
 * Runs the benchmark with its smallest sizes, and asserts that each of these scenarios has given numbers on each of the
 * engines that it runs on, and that they are printed.
 */
export async function smoke(
  scenarios: readonly string[],
  stores: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'loci-smoke-'))
  try {
    const json = join(folder, 'numbers.json')
    const args = [RUN, '--smoke', '--store', stores, '--only', scenarios.join(','), '--json', json]
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    const [code] = (await once(child, 'close')) as [number | null]
    assert.equal(code, 0, `the benchmark ended with ${code}: ${said}`)
    const { size, failed, rows } = JSON.parse(await readFile(json, 'utf8')) as Measured
    assert.deepEqual([size, failed], ['smoke', []])
    for (const name of scenarios) {
      const own = rows.filter((row) => row.scenario === name)
      assert.ok(own.length > 0, `${name} has measured nothing`)
      for (const { what, unit, value, floor = 0, store } of own) {
        // What is not a number is null in JSON.
        const numbers = `${name}, ${store}, ${what}: ${String(value)} next to ${String(floor)}`
        assert.ok(Number.isFinite(value) && Number.isFinite(floor), numbers)
        // What only one of two engines has stands next to nothing.
        if (
          own.filter((row) => row.what === what).length < stores.split(',').length &&
          ANY_ENGINE.includes(name)
        )
          continue
        const line = printed.split('\n').find((text) => text.includes(`| ${name} `) && text.includes(what))
        assert.ok(line?.includes(` ${unit} `), `${name} has not printed: ${what}`)
      }
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  CustomToolCall,
  CustomToolResult,
  ToolPermissions,
  ToolWall,
} from '../../../shared/core/ports/custom-tools.ts'
import type { Agent } from '../../../shared/schema/agent.ts'
import { findPython } from '../../../shared/tools/python/interpreter.ts'
import { createPythonTools, type PythonOptions } from '../../../shared/tools/python/python-tools.ts'
import { DEFAULT_LIMITS } from '../../../shared/tools/sandbox/language-tools.ts'
import type { Wall } from '../../../shared/tools/sandbox/walled-command.ts'
import { openWall, type WallOptions } from '../../../shared/tools/sandbox/wall.ts'
import { DEFAULT_ORGANIZATION_ID } from '../../../shared/schema/ids.ts'

export interface PythonRun {
  args?: Record<string, unknown>
  permissions?: Partial<ToolPermissions>
  env?: Record<string, string>
  agent?: Agent | null
  name?: string
  signal?: AbortSignal
  pip?: { name: string; version?: string }[]
}

/** Python tools as a server runs them. */
export interface StartedPython {
  wall: ToolWall
  /** What Loci keeps to itself: no tool sees it. */
  data: string
  run(source: string, options?: PythonRun): Promise<CustomToolResult>
  /** The text of a call that must succeed. */
  text(source: string, options?: PythonRun): Promise<string>
  /** The text of a call that must fail. */
  failure(source: string, options?: PythonRun): Promise<string>
  close(): Promise<void>
}

/** What a call returned, or why it failed. */
export function textOf({ func_response }: CustomToolResult): string {
  assert.equal(typeof func_response, 'string')
  return func_response as string
}

export interface StartOptions extends Pick<WallOptions, 'kinds'> {
  /** False: inside the wall no other namespaces can be made, so that each process serves one call. */
  isolated?: boolean
}

/** Skips tests (and says so) on a machine without Python or a wall; in CI that fails. */
export async function startPython(
  test: Mocha.Context,
  { api, kinds, isolated = true, ...options }: Partial<PythonOptions> & StartOptions = {},
): Promise<StartedPython> {
  const data = mkdtempSync(join(tmpdir(), 'loci-python-'))
  const open = options.wall ?? (await openWall({ hide: [data], ...(kinds && { kinds }) }))
  const wall: Wall = isolated
    ? open
    : { ...open, launch: (command) => open.launch({ ...command, namespaces: false }) }
  const python = await findPython().catch((error: Error) => error)
  const why = python instanceof Error ? python.message : wall.kind === 'none' ? wall.description : null
  if (why !== null) {
    rmSync(data, { recursive: true })
    assert.ok(!process.env['CI'], why)
    console.log(`      not run: ${why}`)
    test.skip()
  }
  const tools = createPythonTools({
    api: api ?? (() => Promise.resolve(new Response('{"detail":"no API here"}', { status: 404 }))),
    limits: DEFAULT_LIMITS,
    requirements: () => findPython(),
    hide: [data],
    env: process.env,
    ...options,
    wall,
  })
  const run: StartedPython['run'] = (source, more = {}) => {
    const call: CustomToolCall = {
      actor: { organization_id: DEFAULT_ORGANIZATION_ID, user_id: 'user-test' },
      name:
        more.name ?? /def (\w+)\([^]*$/.exec(source.slice(source.lastIndexOf('\ndef ') + 1))?.[1] ?? 'tool',
      source: {
        source_type: 'python',
        source_code: source,
        pip_requirements: more.pip ?? [],
        npm_requirements: [],
      },
      permissions: {
        network: false,
        read: [],
        write: [],
        timeout_ms: 20_000,
        memory_mb: null,
        keep_state: false,
        ...more.permissions,
      },
      arguments: more.args ?? {},
      env: more.env ?? {},
      agent: more.agent ?? null,
      run_id: null,
    }
    return tools.run(call, { signal: more.signal ?? new AbortController().signal })
  }
  const expecting =
    (status: 'success' | 'error') =>
    async (source: string, more: PythonRun = {}): Promise<string> => {
      const result = await run(source, more)
      assert.equal(result.status, status, JSON.stringify(result))
      return textOf(result)
    }
  return {
    wall,
    data,
    run,
    text: expecting('success'),
    failure: expecting('error'),
    async close() {
      await tools.close()
      rmSync(data, { recursive: true, force: true })
    },
  }
}

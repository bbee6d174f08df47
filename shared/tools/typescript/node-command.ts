import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WalledCommand } from '../sandbox/walled-command.ts'
import { toolModules } from '../source/tool-modules.ts'
import type { WorkerSettings } from './worker-call.ts'

/** What makes one process of a TypeScript tool differ from another. */
export interface NodeProfile {
  network: boolean
  /** Absolute. */
  read: readonly string[]
  /** Absolute. */
  write: readonly string[]
  memory_mb: number
  timeout_ms: number
  /** The folder with `node_modules`; null: the tool has no requirements. */
  requirements: string | null
}

/** Mebibytes that V8 maps to write and does not fill: its range of code. Measured with Node 24: 500 to 560. */
const RESERVED_MB = 640

/** Starts Node behind the wall: it may read what it needs, and start, load and open nothing else. */
export function nodeCommand(profile: NodeProfile): WalledCommand {
  const files = workerFiles()
  const settings: WorkerSettings = {
    modules: files.modules,
    requirements: profile.requirements,
    network: profile.network,
    debug: null,
  }
  const read = [...files.read, ...profile.read, ...(profile.requirements ? [profile.requirements] : [])]
  return {
    command: realpathSync(process.execPath),
    args: [
      '--permission',
      ...['{scratch}', ...read, ...profile.write].map((path) => `--allow-fs-read=${path}`),
      ...['{scratch}', ...profile.write].map((path) => `--allow-fs-write=${path}`),
      ...supported('--allow-net').filter(() => profile.network),
      '--no-experimental-sqlite',
      ...supported('--disable-sigusr1'),
      '--no-warnings',
      `--max-old-space-size=${profile.memory_mb}`,
      files.worker,
      JSON.stringify(settings),
    ],
    // Electron is Node only when it is told so.
    env: process.versions['electron'] ? { ELECTRON_RUN_AS_NODE: '1' } : {},
    read: [...programFiles(), ...read],
    write: profile.write,
    network: profile.network,
    limits: {
      memory_mb: profile.memory_mb + RESERVED_MB,
      cpu_s: Math.ceil(profile.timeout_ms / 1000) * 2 + 2,
      processes: 32,
      file_mb: 64,
      scratch_mb: 64,
    },
    pipes: 1,
  }
}

/** The flag, where this Node has it. */
export function supported(flag: string): string[] {
  return process.allowedNodeEnvironmentFlags.has(flag) ? [flag] : []
}

/** The program that runs us, and what it loads itself when it is not one file. */
function programFiles(): string[] {
  const program = realpathSync(process.execPath)
  const library = join(dirname(dirname(program)), 'lib')
  if (process.versions['electron']) return [dirname(program)]
  return [program, ...(existsSync(library) && !existsSync(join(library, 'node_modules')) ? [library] : [])]
}

/** Our side of the process: its own source, or what the build made of it. */
export function workerFiles(): { worker: string; modules: WorkerSettings['modules']; read: string[] } {
  const modules = toolModules()
  const source = fileURLToPath(new URL('./tool-worker.ts', import.meta.url))
  if (existsSync(source)) {
    const tools = fileURLToPath(new URL('..', import.meta.url))
    const require = createRequire(import.meta.url)
    const client = require.resolve('@letta-ai/letta-client')
    return {
      worker: source,
      modules: { ...modules, client },
      read: [tools, join(tools, '../../package.json'), dirname(modules.zod), dirname(client)],
    }
  }
  // A chunk of the build, or a file of its own in dist.
  const dist = [new URL('..', import.meta.url), new URL('.', import.meta.url)]
    .map((folder) => fileURLToPath(folder))
    .find((folder) => existsSync(join(folder, 'tool-worker.js')))
  if (!dist) throw new Error('tool-worker.js is missing from this installation of Loci: install it again')
  const worker = join(dist, 'tool-worker.js')
  const client = join(dist, 'tool-client.cjs')
  return {
    worker,
    modules: { ...modules, client },
    read: [worker, client, modules.zod, modules['loci/tool'], join(dist, '../package.json')],
  }
}

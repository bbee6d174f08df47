import type { DebugRun, DebugTarget } from '../../../shared/schema/tool-debug.ts'

/** What VS Code attaches with: a configuration as in a `launch.json`. */
export interface AttachConfiguration {
  type: 'pwa-node' | 'debugpy'
  request: 'attach'
  name: string
  [option: string]: unknown
}

/** How VS Code attaches to a call that waits. `ours` is the folder of our own code, which is stepped over. */
export function attachTo(
  { name }: Pick<DebugRun, 'name'>,
  { protocol, host, port, url }: DebugTarget,
  ours: string,
): AttachConfiguration {
  const named = { request: 'attach' as const, name: `${name} (called by an agent)` }
  if (protocol === 'dap') return { type: 'debugpy', ...named, connect: { host, port }, justMyCode: true }
  return {
    type: 'pwa-node',
    ...named,
    address: host,
    port,
    ...(url === null ? {} : { websocketAddress: url }),
    // It waits at its first line, which is none of the developer's.
    continueOnAttach: true,
    sourceMaps: true,
    resolveSourceMapLocations: null,
    autoAttachChildProcesses: false,
    skipFiles: ['<node_internals>/**', `${ours.replaceAll('\\', '/')}/**`, '**/loci/dist/**'],
  }
}

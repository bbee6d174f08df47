import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** In an extension's folder, whose name has its version: an update removes it. */
const EXTENSION = /[\\/]extensions[\\/]loci\.loci-/

/**
 * Writes the program that hosts are told to start, in `bin` of the data directory, and answers its path. It finds this
 * Loci, or after an update of the extension the newest one, so that no host's configuration needs another path.
 */
export function writeLauncher(
  directory: string,
  {
    main = mainOf(import.meta.url),
    platform = process.platform,
    electron = process.versions['electron'] !== undefined,
  } = {},
): string {
  const windows = platform === 'win32'
  const file = join(directory, 'bin', windows ? 'mcp.cmd' : 'mcp')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, windows ? batch(main, electron) : script(main, electron))
  if (!windows) chmodSync(file, 0o755)
  return file
}

/** `loci.js` beside the code that runs: this file is in it, or in one of its chunks. */
function mainOf(url: string): string {
  return join(dirname(fileURLToPath(url)), 'loci.js').replace(/([\\/])chunks\1loci\.js$/, '$1loci.js')
}

/** An editor that runs Loci opens a window instead unless it is told to be a Node. */
const AS_NODE = 'ELECTRON_RUN_AS_NODE=1'

function script(main: string, electron: boolean): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const newest = '"$(newest)"'
  const order = EXTENSION.test(main) ? [newest, quoted(main)] : [quoted(main), newest]
  return `#!/bin/sh
# Starts "loci mcp" for MCP hosts. Written by "loci mcp install", which writes it anew.
${electron ? `export ${AS_NODE}\n` : ''}newest() {
  ls -t "$HOME"/.vscode*/extensions/loci.loci-*/dist/loci.js "$HOME"/.cursor*/extensions/loci.loci-*/dist/loci.js 2>/dev/null | head -n 1
}
for main in ${order.join(' ')}; do
  [ -f "$main" ] || continue
  for node in ${quoted(process.execPath)} node; do
    command -v "$node" >/dev/null 2>&1 && exec "$node" "$main" mcp "$@"
  done
done
command -v loci >/dev/null 2>&1 && exec loci mcp "$@"
echo 'loci: there is no Loci any more where "loci mcp install" found it; install it and run that again.' >&2
exit 1
`
}

function batch(main: string, electron: boolean): string {
  const lines = [
    '@echo off',
    'rem Starts "loci mcp" for MCP hosts. Written by "loci mcp install", which writes it anew.',
    'setlocal',
    ...(electron ? [`set "${AS_NODE}"`] : []),
    `set "MAIN=${main}"`,
    `set "NODE=${process.execPath}"`,
    'if not exist "%NODE%" set "NODE=node"',
    'if not exist "%MAIN%" for /f "delims=" %%f in (\'dir /b /s /o-d "%USERPROFILE%\\.vscode\\extensions\\loci.js" 2^>nul ^| findstr "loci.loci-"\') do set "MAIN=%%f"',
    '"%NODE%" "%MAIN%" mcp %*',
  ]
  return `${lines.join('\r\n')}\r\n`
}

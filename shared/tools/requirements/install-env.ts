import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** What an installation needs of our environment: where programs are, how the network is reached, which index is asked. */
const NAMES = new Set(
  [
    ['PATH', 'SYSTEMROOT', 'PATHEXT', 'COMSPEC', 'LANG', 'LC_ALL'],
    ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'],
    ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS'],
    ['PIP_CONFIG_FILE', 'PIP_INDEX_URL', 'PIP_EXTRA_INDEX_URL', 'PIP_FIND_LINKS', 'PIP_NO_INDEX'],
    ['PIP_CERT', 'PIP_CLIENT_CERT', 'PIP_TRUSTED_HOST', 'PIP_PROXY', 'PIP_DEFAULT_TIMEOUT', 'PIP_RETRIES'],
    ['NPM_CONFIG_USERCONFIG', 'NPM_CONFIG_GLOBALCONFIG', 'NPM_CONFIG_REGISTRY', 'NPM_CONFIG_CAFILE'],
    ['NPM_CONFIG_PROXY', 'NPM_CONFIG_HTTPS_PROXY', 'NPM_CONFIG_NOPROXY', 'NPM_CONFIG_STRICT_SSL'],
  ].flat(),
)

/** Where pip looks for the configuration of a user, below the home folder. */
const PIP_CONFIGS = [
  '.config/pip/pip.conf',
  '.pip/pip.conf',
  'Library/Application Support/pip/pip.conf',
  'AppData/Roaming/pip/pip.ini',
]

/**
 * The environment of pip or npm: nothing of ours but NAMES, a home folder of its own, and the user's own configuration of
 * the two.
 */
export function installEnv(env: NodeJS.ProcessEnv, home: string): Record<string, string> {
  const kept = Object.entries(env).flatMap(([name, value]): [string, string][] =>
    value !== undefined && NAMES.has(name.toUpperCase()) ? [[name, value]] : [],
  )
  const own = env['HOME'] ?? env['USERPROFILE']
  const pip = own && PIP_CONFIGS.map((path) => join(own, path)).find((path) => existsSync(path))
  const npm = own && [join(own, '.npmrc')].find((path) => existsSync(path))
  return {
    ...(pip ? { PIP_CONFIG_FILE: pip } : {}),
    ...(npm ? { NPM_CONFIG_USERCONFIG: npm } : {}),
    ...Object.fromEntries(kept),
    HOME: home,
    USERPROFILE: home,
    TMPDIR: home,
    TEMP: home,
    TMP: home,
  }
}

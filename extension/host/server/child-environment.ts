/** What VS Code's settings say about the network. */
export interface NetworkSettings {
  /** `http.proxy`; empty for what the environment says. */
  proxy: string
  /** `http.noProxy`. */
  noProxy: readonly string[]
  /** `http.systemCertificates`. */
  systemCertificates: boolean
}

/** Of the editor itself: they would make a Node of ours behave as a part of it. */
const FOREIGN = /^(VSCODE_|ELECTRON_)|^(NODE_OPTIONS|NODE_CHANNEL_FD|LETTA_API_KEY|LETTA_SERVER_PASSWORD)$/

/** The environment of a server that we start: this process's, with the editor's proxy and certificates and our token. */
export function childEnvironment(
  inherited: NodeJS.ProcessEnv,
  { proxy, noProxy, systemCertificates }: NetworkSettings,
  token: string,
): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(inherited)) if (!FOREIGN.test(name)) env[name] = value
  env['LOCI_API_KEY'] = token
  if (systemCertificates) env['NODE_USE_SYSTEM_CA'] = '1'
  if (proxy !== '') {
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy']) env[name] = proxy
  }
  const direct = [env['NO_PROXY'] ?? env['no_proxy'] ?? '', ...noProxy].filter((host) => host !== '')
  if (direct.length > 0) env['NO_PROXY'] = env['no_proxy'] = direct.join(',')
  return env
}

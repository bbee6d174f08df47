import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { loadMaintenance, loadSettings, resolveDataDirectory } from '../../shared/server/main.ts'
import { isAppError } from '../../shared/schema/errors.ts'
import type { ProviderConfig } from '../../shared/schema/provider.ts'
import { VERSION } from '../../shared/schema/version.ts'
import { EXIT } from '../failure.ts'
import { count, quoted } from '../progress.ts'
import { bold, columns, displayWidth, green, plain, red, wrap, yellow } from '../terminal.ts'

type Settings = Awaited<ReturnType<typeof loadSettings>>
type Finding = Awaited<ReturnType<Awaited<ReturnType<typeof loadMaintenance>>['examineStore']>>[number]

type ConfigValue = Awaited<ReturnType<Settings['openConfig']>>['value']

interface Report {
  /** False when anything is an error. */
  ok: boolean
  version: string
  node: string
  data: string
  /** The database that agents are kept in, for people; only where there is one. */
  database?: string
  store: Finding[]
  config: Finding[]
  providers: Finding[]
}

export interface DoctorOptions {
  json?: boolean
  /** How long each provider may take, in seconds. */
  timeout: number
  data?: string
  store?: string
}

/** `loci doctor`: looks at the store, the settings and every provider. Exit code 1 when something is wrong. */
export async function runDoctor(options: DoctorOptions): Promise<void> {
  const [{ examineStore, examineDatabase, readAddress }, settings] = await Promise.all([
    loadMaintenance(),
    loadSettings(),
  ])
  const data = options.data === undefined ? resolveDataDirectory(process.env) : resolve(options.data)
  const encryption_key = process.env['LOCI_ENCRYPTION_KEY'] || null
  const address = await addressOf(settings, data, options)
  const [store, rest] = await Promise.all([
    address === null
      ? examineStore(data, { encryption_key })
      : examineDatabase(address, { directory: data, encryption_key }),
    examineSettings(settings, data, options),
  ])
  const all = [...store, ...rest.config, ...rest.providers]
  const report: Report = {
    ok: all.every(({ status }) => status !== 'error'),
    version: VERSION,
    node: process.versions.node,
    data,
    ...(address === null ? {} : { database: readAddress(address).place }),
    store,
    ...rest,
  }
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : text(report))
  if (!report.ok) process.exitCode = EXIT.failure
}

/** The database that is meant; null: the data directory, or settings that cannot be read, which is said of them. */
async function addressOf(settings: Settings, data: string, { store }: DoctorOptions): Promise<string | null> {
  if (store !== undefined || process.env['LOCI_STORE']) return store ?? process.env['LOCI_STORE'] ?? null
  const config = await settings.openConfig(data).catch((error: unknown) => {
    if (!isAppError(error)) throw error
    return null
  })
  return config && settings.storeAddress(store, process.env, config)
}

async function examineSettings(
  settings: Settings,
  data: string,
  { timeout }: DoctorOptions,
): Promise<Pick<Report, 'config' | 'providers'>> {
  const config = await settings.openConfig(data).catch((error: unknown) => {
    if (!isAppError(error)) throw error
    return error
  })
  if (isAppError(config)) {
    const mend = 'correct that line, then: loci config check'
    const broken: Finding = { check: 'config.json', status: 'error', message: config.message, mend }
    return { config: [broken], providers: await examineProviders(settings, [], true, null, timeout) }
  }
  const findings = settings.unknownKeys(config.stored).map((key): Finding => ({
    check: 'config.json',
    status: 'warning',
    message: `${config.path}: '${key}' is not a setting this Loci knows`,
    mend: 'correct the name, or remove it',
  }))
  findings.push(...(await keysFinding(settings, config)))
  const storage = await storageFinding(settings, config.value, data, timeout)
  const fine: Finding = { check: 'config.json', status: 'ok', message: config.path }
  return {
    config: [...(findings.length === 0 ? [fine] : findings), retentionFinding(config.value), ...storage],
    providers: await examineProviders(
      settings,
      config.stored.providers,
      config.value.discover_local,
      config.value.defaults.model,
      timeout,
    ),
  }
}

/** Keys in a file that others may read. */
async function keysFinding(
  { masked }: Settings,
  { path, stored }: Awaited<ReturnType<Settings['openConfig']>>,
): Promise<Finding[]> {
  if (process.platform === 'win32') return []
  if (JSON.stringify(masked(stored)) === JSON.stringify(stored)) return []
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return []
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  return [
    {
      check: 'config.json',
      status: 'warning',
      message: `${path} has keys in it, and others of this machine may read or change it (mode ${octal})`,
      mend: `chmod 600 ${quoted(path)}`,
    },
  ]
}

/** Where uploads are kept, when that is not the store's own business. */
async function storageFinding(
  { examineObjectStorage }: Settings,
  { storage }: ConfigValue,
  directory: string,
  timeout: number,
): Promise<Finding[]> {
  const { s3 } = storage
  const found = await examineObjectStorage({ s3, env: process.env, directory, timeout_ms: timeout * 1000 })
  if (!found) return []
  const check = 'object storage'
  if (found.problem === null)
    return [{ check, status: 'ok', message: `${found.place}: written, read, listed and removed an object` }]
  const mend = 'correct storage.s3 in config.json or its variables: docs/files.md, Where uploads are kept'
  return [{ check, status: 'error', message: found.problem, mend }]
}

/** What is deleted because it is old: nobody should be surprised by it. */
function retentionFinding({ retention, server }: ConfigValue): Finding {
  const rules = Object.entries(retention).flatMap(([key, days]) =>
    key.endsWith('_days') && typeof days === 'number'
      ? [`${key.slice(0, -'_days'.length)} after ${count(days, 'day')}`]
      : [],
  )
  const traces = `traces of steps after ${count(server.trace_retention_days, 'day')}`
  const message = rules.length === 0 ? `only ${traces}` : [...rules, traces].join(', ')
  return {
    check: 'retention',
    status: 'ok',
    message: `goes when it is old: ${message}`,
    data: { ...retention },
  }
}

async function examineProviders(
  settings: Settings,
  configured: readonly ProviderConfig[],
  discover: boolean,
  default_model: string | null,
  timeout: number,
): Promise<Finding[]> {
  const named = new Set(configured.map(({ name }) => name))
  const asked = [
    ...configured.map((provider) => ({ provider, from: 'config.json' as const })),
    ...settings
      .providersFromEnv(process.env)
      .filter(({ name }) => !named.has(name))
      .map((provider) => ({ provider, from: 'the environment' as const })),
  ]
  const [results, discovered] = await Promise.all([
    Promise.all(asked.map(({ provider, from }) => examineProvider(settings, provider, from, timeout))),
    discover ? settings.discover() : [],
  ])
  const found = new Map<string, typeof discovered>()
  for (const model of discovered) {
    const name = model.provider_name ?? ''
    if (!asked.some(({ provider }) => provider.name === name))
      found.set(name, [...(found.get(name) ?? []), model])
  }
  const local = await Promise.all(
    [...found].map(([name, models]) => examineLocal(settings, name, models, timeout)),
  )
  const models = [...results.flatMap((result) => result.models), ...[...found.values()].flat()]
  const handle = default_model ?? process.env['LETTA_DEFAULT_LLM_HANDLE'] ?? null
  return [...results.map(({ finding }) => finding), ...local, defaultModel(handle, models)]
}

/** A server that was found on this machine, asked once more to see how long it takes. */
async function examineLocal(
  settings: Settings,
  name: string,
  found: readonly ListedModel[],
  timeout: number,
): Promise<Finding> {
  const [model] = found
  const preset = settings.presets.find((one) => one.name === name)
  const base_url = model?.model_endpoint ?? preset?.base_url ?? ''
  const provider = settings.parseProvider({
    name,
    provider_type: model?.provider_type ?? preset?.provider_type ?? 'openai',
    base_url,
  })
  const { url, latency_ms, models, problem } = await settings.checkProvider(provider, timeout * 1000)
  const data = { url, latency_ms, models: models.map(sizeOf), from: 'this machine' }
  if (problem !== null)
    return {
      check: name,
      status: 'error',
      message: problem,
      mend: `start ${name} again, or leave it: it is optional`,
      data,
    }
  return {
    check: name,
    status: 'ok',
    message: `${url}: ${count(models.length, 'model')} in ${latency_ms} ms, found on this machine${listed(models)}`,
    data,
  }
}

/** Models that are named. */
const NAMED = 3

/** `: a with 8,000 tokens of context, b with 32,000`; empty for none. */
function listed(models: readonly ListedModel[]): string {
  const names = models.slice(0, NAMED).map(({ name, context_window }, i) => {
    const tokens = context_window.toLocaleString('en')
    return `${name} with ${tokens}${i === 0 ? ' tokens of context' : ''}`
  })
  const some = names.join(', ') + (models.length > NAMED ? ', …' : '')
  return some === '' ? '' : `: ${some}`
}

function sizeOf({ handle, name, context_window }: ListedModel) {
  return { handle: handle ?? name, context_window }
}

async function examineProvider(
  settings: Settings,
  stored: ProviderConfig,
  from: 'config.json' | 'the environment',
  timeout: number,
) {
  const variable = settings.referenceIn(stored.api_key ?? '')
  const api_key = variable === null ? stored.api_key : (process.env[variable] ?? null)
  const check = await settings.checkProvider({ ...stored, api_key }, timeout * 1000)
  const { url, latency_ms, models } = check
  const data = { url, latency_ms, models: models.map(sizeOf), from }
  const missing =
    variable !== null && !api_key ? ` (its key is to come from ${variable}, which is not set)` : ''
  if (check.problem === null) {
    const message = `${url}: ${count(models.length, 'model')} in ${latency_ms} ms, from ${from}${missing}${listed(models)}`
    const finding: Finding = { check: stored.name, status: missing === '' ? 'ok' : 'warning', message, data }
    return { finding: missing === '' ? finding : { ...finding, mend: `set ${variable}` }, models }
  }
  const problem = check.problem.replace(/\.$/, '')
  const shown = api_key ? problem.replaceAll(api_key, '***') : problem
  const finding: Finding = {
    check: stored.name,
    status: 'error',
    message: `${shown}, from ${from}${missing}`,
    mend: missing === '' ? mend(settings, stored, from, problem) : `set ${variable}`,
    data,
  }
  return { finding, models }
}

function mend(settings: Settings, provider: ProviderConfig, from: string, problem: string): string {
  const preset = settings.presets.find(({ name }) => name === provider.name)
  const isKey = /answered 40[13]\b/.test(problem)
  if (from === 'config.json') {
    if (isKey)
      return `give it the right key: loci connect ${quoted(provider.name)}${preset ? '' : ` --url ${quoted(provider.base_url)}`} --key-stdin`
    return `start the server there, or: loci config set providers.${quoted(provider.name)}.base_url URL`
  }
  const variables = (isKey ? preset?.key_env : preset?.url_env) ?? []
  const names = variables.filter((name) => process.env[name]).join(' or ')
  if (isKey) return `correct ${names || 'its key'} in the environment`
  return names === '' ? 'check the network and the proxy' : `start the server there, or correct ${names}`
}

type ListedModel = Awaited<ReturnType<Settings['discover']>>[number]

function defaultModel(handle: string | null, models: readonly ListedModel[]): Finding {
  const check = 'default model'
  const model = handle === null ? models[0] : models.find((listed) => listed.handle === handle)
  if (model) {
    const size = `context window of ${model.context_window.toLocaleString('en')} tokens`
    const chosen = handle === null ? ' (the first one found; none is set)' : ''
    return {
      check,
      status: 'ok',
      message: `${model.handle ?? model.name}: ${size}${chosen}`,
      data: { handle: model.handle ?? null, context_window: model.context_window },
    }
  }
  if (handle === null) {
    return {
      check,
      status: 'warning',
      message: 'no model was found: only loci/demo works, which is a script',
      mend: 'loci connect, or start Ollama or LM Studio on this machine',
    }
  }
  if (handle === 'loci/demo') return { check, status: 'ok', message: 'loci/demo, a script without a model' }
  return {
    check,
    status: 'error',
    message: `${handle} is not among the models that were found`,
    mend: 'loci config set defaults.model HANDLE, with a model of a provider that answers',
    data: { handle },
  }
}

const LABEL = { ok: green, warning: yellow, error: red } as const
const WORD = { ok: 'ok', warning: 'warning', error: 'WRONG' } as const

function text(report: Report): string {
  const parts = [
    `Loci ${report.version}, Node ${report.node}`,
    section(
      report.database === undefined ? `Store in ${report.data}` : `Store in PostgreSQL: ${report.database}`,
      report.store,
    ),
    section('Settings', report.config),
    section('Models', report.providers),
    wrap(verdict(report), columns()),
  ]
  return `${parts.join('\n\n')}\n`
}

function section(title: string, findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ check, status, message, mend }) => [
    beside(LABEL[status](WORD[status]), `${plain(check)}: ${plain(message)}`),
    ...(mend === undefined ? [] : [beside('', `→ ${plain(mend)}`)]),
  ])
  return [bold(wrap(plain(title), columns())), ...lines].join('\n')
}

/** A label and text beside it, broken so that it fits. */
function beside(label: string, text: string): string {
  const lines = wrap(text, columns() - 11).split('\n')
  return lines.map((line, i) => `  ${i === 0 ? padded(label) : padded('')}  ${line}`).join('\n')
}

function padded(label: string): string {
  return label + ' '.repeat(Math.max(0, 7 - displayWidth(label)))
}

function verdict(report: Report): string {
  const all = [...report.store, ...report.config, ...report.providers]
  const wrong = all.filter(({ status }) => status === 'error').map(({ check }) => check)
  const warnings = all.filter(({ status }) => status === 'warning').length
  const also = warnings === 0 ? '' : ` ${count(warnings, 'warning')}.`
  if (wrong.length === 0) return `Nothing is wrong.${also}`
  return `${count(wrong.length, 'thing')} ${wrong.length === 1 ? 'is' : 'are'} wrong: ${wrong.join(', ')}.${also}`
}

import { resolve } from 'node:path'
import { loadSettings, resolveDataDirectory } from '../../shared/server/main.ts'
import type { ProviderConfig } from '../../shared/schema/provider.ts'
import { ask, isInteractive, readSecret } from '../ask.ts'
import { didYouMean, nearNames } from '../../shared/schema/near-names.ts'
import { Failure } from '../failure.ts'
import { printJson } from '../print.ts'
import { count, quoted } from '../progress.ts'
import { columns, oneLine, plain, wrap } from '../terminal.ts'

export interface ConnectOptions {
  url?: string
  preset?: string
  key?: string
  keyEnv?: string
  keyStdin?: boolean
  apiVersion?: string
  /** False with `--no-check`. */
  check: boolean
  json?: boolean
  data?: string
}

type Settings = Awaited<ReturnType<typeof loadSettings>>
type Preset = Settings['presets'][number]

/** How long a provider may take for its list of models, in milliseconds. */
const PATIENCE = 15_000

/**
 * `loci connect`: asks what was not given (on a terminal), asks the provider for its models, and saves it in config.json.
 * A key is never shown, nor part of a message.
 */
export async function runConnect(name: string | undefined, options: ConnectOptions): Promise<void> {
  const settings = await loadSettings()
  const directory = options.data === undefined ? resolveDataDirectory(process.env) : resolve(options.data)
  const config = await settings.openConfig(directory)
  const preset = await choosePreset(name, options, settings)
  const providerName = name ?? preset?.name ?? (await required('Name for this provider: '))
  const draft = await describe(providerName, preset, options, settings)
  const provider = options.check ? await test(draft, preset, settings) : draft
  let replaced = false
  await config.update((data) => {
    const at = data.providers.findIndex((other) => other.name === provider.name)
    replaced = at >= 0
    if (replaced) data.providers[at] = provider
    else data.providers.push(provider)
  })
  if (options.json) {
    const { name, provider_type, base_url } = provider
    return printJson({ name, provider_type, base_url, replaced, path: config.path })
  }
  const key = provider.api_key ? `, key ${settings.mask(provider.api_key)}` : ''
  note(
    `${replaced ? 'Replaced' : 'Saved'} provider '${provider.name}' in ${config.path} (readable by you alone${key}).`,
  )
  note('A Loci that is running uses it at once.')
}

async function choosePreset(
  name: string | undefined,
  options: ConnectOptions,
  { presets }: Settings,
): Promise<Preset | null> {
  const wanted = options.preset ?? name
  if (wanted !== undefined) {
    const found = presets.find((preset) => preset.name === wanted.toLowerCase())
    if (found) return found
    const names = presets.map((preset) => preset.name)
    const near = nearNames(wanted, names).length > 0
    const hint = near ? didYouMean(wanted, names, '') : `There are: ${names.join(', ')}.`
    if (options.preset !== undefined) throw new Failure(`There is no preset '${wanted}'. ${hint}`)
    if (options.url !== undefined || isInteractive()) return null
    throw new Failure(
      `'${wanted}' is none of the providers that Loci knows by name. ${hint} For another one, give its address: loci connect ${quoted(wanted)} --url https://…/v1`,
    )
  }
  if (!isInteractive()) {
    const there = presets.map((preset) => preset.name).join(', ')
    throw new Failure(
      `Name a provider: loci connect NAME [--url URL] [--key-env VARIABLE]. Known by name: ${there}.`,
    )
  }
  for (const [i, preset] of presets.entries()) note(`${String(i + 1).padStart(3)}  ${preset.title}`)
  note(`${String(presets.length + 1).padStart(3)}  another OpenAI-compatible server`)
  for (;;) {
    const answer = await ask('Which one? ')
    const chosen = presets.find(
      (preset, i) => String(i + 1) === answer || preset.name === answer.toLowerCase(),
    )
    if (chosen) return chosen
    if (answer === String(presets.length + 1)) return null
    note(`Type a number from 1 to ${presets.length + 1}.`)
  }
}

async function describe(
  name: string,
  preset: Preset | null,
  options: ConnectOptions,
  settings: Settings,
): Promise<ProviderConfig> {
  const base_url = await address(preset, options)
  const draft = settings.parseProvider({
    name,
    provider_type: preset?.provider_type ?? 'openai',
    base_url,
    ...(options.apiVersion === undefined ? {} : { api_version: options.apiVersion }),
  })
  const api_key = await key(preset, options, settings)
  return api_key === null ? draft : { ...draft, api_key }
}

async function address(preset: Preset | null, { url }: ConnectOptions): Promise<string> {
  if (url !== undefined) return url
  const usual = preset?.base_url ?? ''
  // A hosted provider is where it always is; a local one may be on another port.
  if (usual !== '' && !(preset?.local && isInteractive())) return usual
  if (!isInteractive())
    throw new Failure(`${preset?.title ?? 'This provider'} needs an address: add --url URL.`)
  return (await ask(usual === '' ? 'URL (ends in /v1 mostly): ' : `URL [${usual}]: `)) || usual
}

/** The key as it is to be saved: itself, or `${env:NAME}`. Null for none. */
async function key(
  preset: Preset | null,
  options: ConnectOptions,
  settings: Settings,
): Promise<string | null> {
  if (options.key !== undefined) return options.key.trim() || null
  if (options.keyStdin) return readSecret()
  if (options.keyEnv !== undefined) {
    const reference = `\${env:${options.keyEnv}}`
    if (settings.referenceIn(reference) === null) {
      throw new Failure('--key-env takes the name of a variable (letters, digits and _), not a key.')
    }
    if (options.check && !process.env[options.keyEnv]) {
      throw new Failure(
        `The variable ${options.keyEnv} is not set here. Set it, or save without a test: --no-check`,
      )
    }
    return reference
  }
  const found = preset?.key_env.find((variable) => process.env[variable])
  if (!isInteractive()) {
    if (found !== undefined) return `\${env:${found}}`
    if (!preset || preset.local) return null
    const usual = preset.key_env[0] ?? 'VARIABLE'
    throw new Failure(
      `${preset.title} needs a key: set ${usual}, or add --key-env VARIABLE, or pipe the key in with --key-stdin.`,
    )
  }
  const empty = found !== undefined ? `the one in ${found}` : 'none'
  const typed = await ask(`Key, not shown (Enter: ${empty}): `, { hidden: true })
  if (typed !== '') return typed
  return found === undefined ? null : `\${env:${found}}`
}

/** Asks the provider for its models. Answers with the provider, its URL completed where only `/v1` was missing. */
async function test(
  draft: ProviderConfig,
  preset: Preset | null,
  settings: Settings,
): Promise<ProviderConfig> {
  const { provider, check } = await firstThatAnswers(draft, preset, settings)
  if (check.problem === null) {
    const names = check.models.map((model) => model.name)
    const some = names.slice(0, 4).join(', ') + (names.length > 4 ? ', …' : '')
    note(
      oneLine(
        `${check.url} answered in ${check.latency_ms} ms: ${count(names.length, 'model')} (${some})`,
        Infinity,
      ),
    )
    const [first] = names
    if (first === undefined) note('It lists no chat model: load one there before you use it.')
    else note(`Use one: loci chat Ada --create --model ${quoted(`${provider.name}/${first}`)}`)
    return provider
  }
  const problem = withoutKey(check.problem.replace(/\.$/, ''), resolved(draft, settings).api_key)
  if (isInteractive()) {
    note(`${problem}.`)
    const answer = await ask('Save it all the same? [y/N] ')
    if (/^y(es)?$/i.test(answer)) return draft
    throw new Failure('Nothing was saved.')
  }
  throw new Failure(`${problem}. Nothing was saved. Correct it, or save it without a test: --no-check`)
}

async function firstThatAnswers(draft: ProviderConfig, preset: Preset | null, settings: Settings) {
  const check = await settings.checkProvider(resolved(draft, settings), PATIENCE)
  const url = URL.parse(draft.base_url)
  if (check.problem === null || preset || url?.pathname !== '/') return { provider: draft, check }
  const longer = { ...draft, base_url: `${url.origin}/v1` }
  const again = await settings.checkProvider(resolved(longer, settings), PATIENCE)
  return again.problem === null ? { provider: longer, check: again } : { provider: draft, check }
}

function resolved(provider: ProviderConfig, settings: Settings): ProviderConfig {
  const variable = settings.referenceIn(provider.api_key ?? '')
  return variable === null ? provider : { ...provider, api_key: process.env[variable] ?? null }
}

function withoutKey(text: string, secret: string | null | undefined): string {
  return secret ? text.replaceAll(secret, '***') : text
}

async function required(question: string): Promise<string> {
  for (;;) {
    const answer = await ask(question)
    if (answer !== '') return answer
  }
}

function note(text: string): void {
  process.stderr.write(`${wrap(plain(text), columns(process.stderr))}\n`)
}

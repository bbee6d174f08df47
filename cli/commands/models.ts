import { type LociClient, refusalOf } from '../../shared/client/http.ts'
import type { EmbeddingModel, Model, ModelsOverview } from '../../shared/schema/model.ts'
import { didYouMean } from '../../shared/schema/near-names.ts'
import { complain, EXIT, Failure } from '../failure.ts'
import { DEMO } from '../models.ts'
import { note, number, printJson, printTable } from '../print.ts'
import { type Place, withClient } from '../with-client.ts'

export interface ModelsOptions extends Place {
  provider?: string
  embeddings?: boolean
  json?: boolean
}

/** A model or an embedding model. */
interface Listed {
  handle?: string | null | undefined
  provider_name?: string | null | undefined
}

/** `loci models`: exit code 1 when a provider does not answer. */
export async function runModels(text: string | undefined, options: ModelsOptions): Promise<void> {
  await withClient(options, async (client) => {
    const all = await overviewOf(client)
    const wanted = text?.toLowerCase() ?? ''
    const isMeant = ({ handle, provider_name }: Listed) =>
      (handle ?? '').toLowerCase().includes(wanted) &&
      (options.provider === undefined || provider_name === options.provider)
    const found = {
      models: all.models.filter(isMeant),
      embedding_models: all.embedding_models.filter(isMeant),
      problems: all.problems.filter(({ provider }) => (options.provider ?? provider) === provider),
    }
    checkProvider(options.provider, all)
    if (found.problems.length > 0) process.exitCode = EXIT.failure
    if (options.json) return printJson(found)
    if (options.embeddings) showEmbeddings(found.embedding_models)
    else showModels(found.models)
    for (const { provider, message } of found.problems) complain(`${provider} does not answer: ${message}`)
    const shown = options.embeddings ? found.embedding_models : found.models
    if (shown.length === 0 && found.problems.length === 0)
      note(
        text !== undefined || options.provider !== undefined
          ? 'No model is like that. All of them: loci models'
          : 'There are no embedding models. They are optional: without one, search goes by words. Connect a provider that has some: loci connect',
      )
    else if (!options.embeddings && all.models.every(({ handle }) => handle === DEMO))
      note(
        `${DEMO} is a script that needs no key. Connect a real model: loci connect, or start Ollama or LM Studio.`,
      )
    if (found.problems.length > 0) note('What is wrong, and what to do: loci doctor')
  })
}

/** Of a foreign V1 server without prices, and without what does not answer. */
async function overviewOf(client: LociClient): Promise<ModelsOverview> {
  try {
    return (await client.letta.get('/v1/models/overview')) as ModelsOverview
  } catch (error) {
    const status = refusalOf(error)?.status
    if (status !== 404 && status !== 405) throw error
    const models = (await client.letta.models.list()) as unknown as Model[]
    const embeddings = (await client.letta.models.embeddings.list()) as unknown as EmbeddingModel[]
    return {
      models: models.map((model) => ({ ...model, price: null })),
      embedding_models: embeddings,
      problems: [],
    }
  }
}

function checkProvider(wanted: string | undefined, { models, embedding_models, problems }: ModelsOverview) {
  const names = new Set([
    ...[...models, ...embedding_models].flatMap(({ provider_name }) => provider_name ?? []),
    ...problems.map(({ provider }) => provider),
  ])
  if (wanted === undefined || names.has(wanted)) return
  throw new Failure(`There is no provider '${wanted}'. ${didYouMean(wanted, [...names], '')}`)
}

function showModels(models: ModelsOverview['models']): void {
  // In a pipe the fields stand where they always do.
  const priced = !process.stdout.isTTY || models.some(({ price }) => price !== null)
  printTable(
    [
      { title: 'MODEL' },
      { title: 'CONTEXT', align: 'right' as const },
      ...(priced
        ? [
            { title: '$ IN', align: 'right' as const },
            { title: '$ OUT', align: 'right' as const },
          ]
        : []),
      { title: 'TYPE', flexible: true },
    ],
    models.map(({ handle, name, context_window, price, provider_type }) => [
      handle ?? name,
      number(context_window),
      ...(priced ? [dollars(price?.input), dollars(price?.output)] : []),
      provider_type,
    ]),
  )
  if (process.stdout.isTTY && priced)
    note('Prices are US dollars for a million tokens, as the provider says.')
}

function showEmbeddings(models: ModelsOverview['embedding_models']): void {
  printTable(
    [{ title: 'MODEL' }, { title: 'DIMENSIONS', align: 'right' }, { title: 'PROVIDER', flexible: true }],
    models.map(({ handle, embedding_dim, provider_name }) => [handle, number(embedding_dim), provider_name]),
  )
}

function dollars(price: number | undefined): string {
  if (price === undefined) return ''
  return price === 0 ? 'free' : price.toFixed(price < 0.1 ? 3 : 2)
}

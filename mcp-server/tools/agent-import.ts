import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { AppError, messageOf } from '../../shared/schema/errors.ts'
import { localPath } from '../local-files.ts'
import { defineTool } from '../tool.ts'

export const agentImport = defineTool(
  {
    name: 'agent_import',
    title: 'Import agents',
    description: 'Makes the agents of an agent file (.af).',
    about: 'agents',
    input: {
      path: z.string().optional().describe('Absolute path of a local file'),
      json: z.string().optional().describe('The file itself, instead of path'),
      name: z.string().optional().describe('Another name for the agent'),
    },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
    async run({ path, json, name }, { client, signal, settings }) {
      if ((path === undefined) === (json === undefined))
        throw new AppError('invalid_argument', 'Give either path or json.')
      const bytes = path === undefined ? (json ?? '') : await read(localPath(settings, path))
      for (const wanted of name === undefined ? namesIn(bytes) : [name]) {
        const [taken] = (await client.letta.agents.list({ name: wanted, limit: 1 }, { signal })).items
        if (taken)
          throw new AppError(
            'conflict',
            `There is an agent '${wanted}' already (${taken.id}), and nothing was imported: give another name.`,
          )
      }
      const answer = await client.letta.agents.importFile(
        {
          file: new File([bytes], 'agent.af'),
          append_copy_suffix: false,
          ...(name === undefined ? {} : { name }),
        },
        { signal, maxRetries: 0 },
      )
      const { warnings = [] } = answer as { warnings?: string[] }
      const made = await Promise.all(
        answer.agent_ids.map(async (id) => `${(await client.findAgent(id, { signal })).name} (${id})`),
      )
      return [`Imported ${made.join(', ')}.`, ...warnings].join('\n')
    },
  },
  'admin',
)

/** Names of the agents in a file; none for a file that the server will refuse. */
function namesIn(file: string | Uint8Array): string[] {
  try {
    const text = typeof file === 'string' ? file : new TextDecoder().decode(file)
    const value = JSON.parse(text) as { name?: unknown; agents?: unknown }
    const agents: unknown[] = Array.isArray(value.agents) ? value.agents : [value]
    return agents.flatMap((agent) => {
      const { name } = agent as { name?: unknown }
      return typeof name === 'string' && name !== '' ? [name] : []
    })
  } catch {
    return []
  }
}

async function read(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : messageOf(cause)
    throw new AppError('invalid_argument', `${path} cannot be read: ${why}.`, { cause })
  }
}

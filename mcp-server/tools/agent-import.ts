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
      const answer = await client.letta.agents.importFile(
        {
          file: new File([bytes], 'agent.af'),
          append_copy_suffix: false,
          ...(name === undefined ? {} : { name }),
        },
        { signal, maxRetries: 0 },
      )
      const { warnings = [] } = answer as { warnings?: string[] }
      return [`Imported ${answer.agent_ids.join(', ')}.`, ...warnings].join('\n')
    },
  },
  'admin',
)

async function read(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    throw new AppError('invalid_argument', `${path} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

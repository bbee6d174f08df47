import { writeFile } from 'node:fs/promises'
import * as z from 'zod'
import { AppError, messageOf } from '../../shared/schema/errors.ts'
import { localPath } from '../local-files.ts'
import { defineTool } from '../tool.ts'

/** A longer agent file is no answer for a model. In characters. */
const LONGEST = 100_000

export const agentExport = defineTool(
  {
    name: 'agent_export',
    title: 'Export an agent',
    description: 'Writes an agent with its memory and history to an agent file (.af), or answers it.',
    about: 'agent',
    input: {
      path: z
        .string()
        .optional()
        .describe('Absolute path of a new local file; default: the file is the answer'),
      messages: z.boolean().default(true).describe('false: without its history'),
    },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
    async run({ path, messages }, call) {
      const { client, signal, settings } = call
      const file = path === undefined ? null : localPath(settings, path)
      const agent = await call.agent()
      const query = { scrub_messages: !messages }
      const text = await client.letta.agents
        .exportFile(agent.id, query, { signal })
        .asResponse()
        .then((r) => r.text())
      if (file === null) {
        if (text.length <= LONGEST) return text
        throw new AppError(
          'too_large',
          `The file has ${text.length} characters: give path, messages: false, or use \`loci export\`.`,
        )
      }
      try {
        await writeFile(file, text, { flag: 'wx', mode: 0o600 })
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException
        const why =
          code === 'EEXIST'
            ? 'there is a file of that name already'
            : code === 'ENOENT'
              ? 'its folder does not exist'
              : messageOf(cause)
        throw new AppError('invalid_argument', `${file} was not written: ${why}.`, { cause })
      }
      return `Wrote ${agent.name} to ${file} (${text.length} characters).`
    },
  },
  'admin',
)

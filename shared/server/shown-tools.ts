import { isCode, isGuarded } from '../core/turn/turn-tools.ts'
import type { Tool } from '../schema/tool.ts'
import type { ServerContext } from './context.ts'

/**
 * Tools as they are answered: where nothing keeps their code away from the machine, `metadata_.approval` says that calls
 * of them wait for an approval, and why.
 */
export async function allShown({ deps }: ServerContext, tools: readonly Tool[]): Promise<Tool[]> {
  const wall = tools.some(isCode) ? await deps.custom?.wall() : undefined
  return tools.map((tool) =>
    wall && isGuarded(tool, wall)
      ? {
          ...tool,
          metadata_: { ...tool.metadata_, approval: `Every call waits for an approval: ${wall.description}` },
        }
      : tool,
  )
}

/** One of them. */
export async function shown(context: ServerContext, tool: Tool): Promise<Tool> {
  const [only] = await allShown(context, [tool])
  return only ?? tool
}

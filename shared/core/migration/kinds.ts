import type { Migrated, MigratedKind } from '../../schema/migration.ts'
import type { Actor } from '../ports/actor.ts'
import type { CoreDeps } from '../ports/deps.ts'
import { agents } from './agents.ts'
import { archives, passages } from './archives.ts'
import { blocks } from './blocks.ts'
import { bring, type Kind } from './bring.ts'
import { files, folders } from './folders.ts'
import { mcpServers } from './mcp-servers.ts'
import { groups, identities } from './people.ts'
import type { Raw } from './read.ts'
import { bringRuns, bringSteps } from './runs.ts'
import { tools } from './tools.ts'

const KINDS: Record<Exclude<MigratedKind, 'run' | 'step'>, Kind> = {
  agent: agents,
  archive: archives,
  block: blocks,
  file: files,
  folder: folders,
  group: groups,
  identity: identities,
  mcp_server: mcpServers,
  passage: passages,
  tool: tools,
}

/** Brings things in their order, each once; answers what became of each. */
export async function bringObjects(
  deps: CoreDeps,
  actor: Actor,
  objects: readonly { kind: MigratedKind; value: Raw }[],
): Promise<Migrated[]> {
  const results: Migrated[] = []
  for (let i = 0; i < objects.length;) {
    const kind = objects[i]?.kind
    const rest = objects.slice(i)
    const other = rest.findIndex((object) => object.kind !== kind)
    const same = (other < 0 ? rest : rest.slice(0, other)).map(({ value }) => value)
    i += same.length
    if (kind === 'run') results.push(...(await bringRuns(deps, actor, same)))
    else if (kind === 'step') results.push(...(await bringSteps(deps, actor, same)))
    else if (kind) for (const value of same) results.push(await bring(deps, actor, kind, KINDS[kind], value))
  }
  return results
}

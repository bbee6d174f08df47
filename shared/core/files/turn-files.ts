import type { Agent } from '../../schema/agent.ts'
import type { Actor } from '../ports/actor.ts'
import { DEFAULT_MAX_FILES_OPEN } from '../ports/file-view.ts'
import type { CoreDeps } from '../ports/deps.ts'
import type { TurnFiles } from '../ports/tools.ts'
import { findFiles } from '../search/find.ts'

/** The files of an agent, for its tools. */
export function turnFiles(deps: CoreDeps, actor: Actor, agent: Agent): TurnFiles {
  const { files } = deps.store
  const max_open = agent.max_files_open ?? DEFAULT_MAX_FILES_OPEN
  return {
    list: () => files.ofAgent(actor, agent.id),
    open: (requests, { close_others }) => files.open(actor, agent.id, requests, { max_open, close_others }),
    read: (file_id, range) => files.read(actor, file_id, range),
    search: (query, limit) => findFiles(deps, actor, { agent_id: agent.id, query, limit }),
    touch: (file_ids) => files.touch(actor, agent.id, file_ids),
  }
}

import type { Agent } from '../../schema/agent.ts'
import type { Actor } from '../ports/actor.ts'
import { DEFAULT_MAX_FILES_OPEN } from '../ports/file-view.ts'
import type { Store } from '../ports/store.ts'
import type { TurnFiles } from '../ports/tools.ts'

/** The files of an agent, for its tools. */
export function turnFiles({ files }: Store, actor: Actor, agent: Agent): TurnFiles {
  const max_open = agent.max_files_open ?? DEFAULT_MAX_FILES_OPEN
  return {
    list: () => files.ofAgent(actor, agent.id),
    open: (requests, { close_others }) => files.open(actor, agent.id, requests, { max_open, close_others }),
    read: (file_id, range) => files.read(actor, file_id, range),
    search: (query, limit) => files.search(actor, { agent_id: agent.id, query, limit }),
    touch: (file_ids) => files.touch(actor, agent.id, file_ids),
  }
}

import type { LociClient } from '../../../shared/client/http.ts'
import type { BlockVersion } from '../../../shared/schema/block.ts'
import { t } from '../l10n.ts'

/** A block as it is on the server. */
export interface BlockText {
  id: string
  label: string
  value: string
  /** Code points that it should have at most. */
  limit: number
  description: string | null
  /** Its agents cannot change it; people can. */
  read_only: boolean
  /** Null from a server that counts no versions. */
  version: number | null
  /** Grows whenever the block is found changed. */
  revision: number
}

/** The block was changed by others since the text was read that is to be saved. */
export class BlockConflictError extends Error {
  /** The block as it is now. */
  readonly theirs: BlockText
  constructor(theirs: BlockText) {
    super(t('{0} has been changed meanwhile.', theirs.label))
    this.theirs = theirs
  }
}

/** There is no such block any more. */
export class BlockGoneError extends Error {
  constructor(label: string) {
    super(t('The block {0} has been deleted.', label))
  }
}

/** What of a block a save is based on. */
export type BlockBase = Pick<BlockText, 'value' | 'version'>

/** Texts of blocks, read and written through the API, and what was read last. */
export interface BlockTexts {
  /** What was read last; null for a block that was not, or is gone. */
  known(id: string): BlockText | null
  /** Reads the block. Throws `BlockGoneError`, and what the client throws. */
  read(id: string): Promise<BlockText>
  /**
   * Writes `value` over `base`, without asking twice: of a block whose text differs from that of `base`, throws
   * `BlockConflictError` and changes nothing. Other changes of it, of its label for example, are in nobody's way.
   */
  save(id: string, value: string, base: BlockBase): Promise<BlockText>
  /** Gives the block the text it had after this version. Throws as `save` does when it is not at `at`. */
  restore(id: string, version: number, at: number): Promise<BlockText>
  /** The versions before this one (all when null), newest first; `more` when there are others before those. */
  history(id: string, before: number | null): Promise<{ versions: BlockVersion[]; more: boolean }>
  /** The newest version; null where versions are not kept. */
  newest(id: string): Promise<BlockVersion | null>
  /** The text that the block had after this version. */
  textAfter(id: string, version: number): Promise<string>
}

/** Characters of text that one answer of the history should have at most. */
const PAGE_CHARACTERS = 4_000_000
const PAGE = 50

/** Reads through `getClient`; nothing is read before it is asked for. */
export function createBlockTexts(getClient: () => Promise<LociClient>): BlockTexts {
  const all = new Map<string, BlockText>()

  const keep = (state: Record<string, unknown>): BlockText => {
    const { id, label, value, limit, description, read_only, version } = state as Partial<BlockText>
    const before = all.get(id ?? '')
    const counted = typeof version === 'number' ? version : null
    const grows = before && before.value !== value ? before.revision + 1 : (before?.revision ?? 1)
    const now: BlockText = {
      id: id ?? '',
      label: label ?? '',
      value: value ?? '',
      limit: limit ?? 0,
      description: description ?? null,
      read_only: read_only ?? false,
      version: counted,
      revision: counted ?? grows,
    }
    // An answer may be overtaken by a newer one.
    if (before && now.revision < before.revision) return before
    all.set(now.id, now)
    return now
  }
  const gone = (id: string, error: unknown): unknown => {
    if ((error as { status?: unknown }).status !== 404) return error
    const label = all.get(id)?.label ?? id
    all.delete(id)
    return new BlockGoneError(label)
  }
  /** Runs a request about a block. 404 and 409 become errors of their own. */
  const ask = async (id: string, work: (client: LociClient) => Promise<unknown>): Promise<BlockText> => {
    const client = await getClient()
    try {
      return keep((await work(client)) as Record<string, unknown>)
    } catch (error) {
      const { status, error: body } = error as { status?: unknown; error?: { block?: unknown } }
      if (status !== 409) throw gone(id, error)
      const { block } = body ?? {}
      // A label that is taken is a conflict, too, and has no block.
      if (typeof block !== 'object' || block === null) throw error
      throw new BlockConflictError(keep(block as Record<string, unknown>))
    }
  }
  const read = (id: string) => ask(id, ({ letta }) => letta.blocks.retrieve(id))
  const write = (id: string, value: string, version: number | null) =>
    ask(id, ({ letta }) =>
      letta.blocks.update(
        id,
        { value },
        { maxRetries: 0, ...(version === null ? {} : { headers: { 'if-match': `"${version}"` } }) },
      ),
    )

  return {
    known: (id) => all.get(id) ?? null,
    read,
    async save(id, value, base) {
      if (base.version === null) {
        // Such a server has no If-Match: what is between these two requests is not seen.
        const now = await read(id)
        if (now.value === value) return now
        if (now.value !== base.value) throw new BlockConflictError(now)
        return write(id, value, null)
      }
      let { version } = base
      for (;;) {
        try {
          return await write(id, value, version)
        } catch (error) {
          if (!(error instanceof BlockConflictError)) throw error
          const { theirs } = error
          if (theirs.value === value) return theirs
          if (theirs.value !== base.value || theirs.version === null) throw error
          version = theirs.version
        }
      }
    },
    restore: (id, version, at) =>
      ask(id, ({ letta }) =>
        letta.post(`/v1/blocks/${encodeURIComponent(id)}/history/${version}/restore`, {
          headers: { 'if-match': `"${at}"` },
          maxRetries: 0,
        }),
      ),
    async history(id, before) {
      const { letta } = await getClient()
      // Each version has the text twice.
      const size = 2 * (all.get(id)?.value.length ?? 0) + 1
      const limit = Math.max(1, Math.min(PAGE, Math.floor(PAGE_CHARACTERS / size)))
      const query = { order: 'desc', limit: limit + 1, ...(before === null ? {} : { after: String(before) }) }
      try {
        const found = (await letta.get(`/v1/blocks/${encodeURIComponent(id)}/history`, {
          query,
        })) as BlockVersion[]
        return { versions: found.slice(0, limit), more: found.length > limit }
      } catch (error) {
        throw gone(id, error)
      }
    },
    async newest(id) {
      const { letta } = await getClient()
      try {
        const [found] = (await letta.get(`/v1/blocks/${encodeURIComponent(id)}/history`, {
          query: { order: 'desc', limit: 1 },
        })) as BlockVersion[]
        return found ?? null
      } catch (error) {
        if ((error as { status?: unknown }).status === 404) return null
        throw error
      }
    },
    async textAfter(id, version) {
      const { letta } = await getClient()
      try {
        const [found] = (await letta.get(`/v1/blocks/${encodeURIComponent(id)}/history`, {
          // The one before the next of it; the newest has no next one.
          query: { order: 'asc', limit: 1, ...(version > 1 ? { after: String(version - 1) } : {}) },
        })) as BlockVersion[]
        if (found?.version !== version) throw new Error(t('The block has no version {0}.', version))
        return found.after
      } catch (error) {
        throw gone(id, error)
      }
    },
  }
}

/** Characters as the server and models count them: code points. */
export function countCharacters(text: string): number {
  let pairs = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0xd800 || code > 0xdbff) continue
    const next = text.charCodeAt(at + 1)
    if (next >= 0xdc00 && next <= 0xdfff) pairs++
  }
  return text.length - pairs
}

import type { Store } from '../../shared/core/ports/store.ts'
import { describeAccessTokens } from './store/access-tokens.ts'
import { describeApprovals } from './store/approvals.ts'
import { describeArchives } from './store/archives.ts'
import { describeAgents } from './store/agents.ts'
import { describeBatches } from './store/batches.ts'
import { describeBlocks, describeTools } from './store/blocks-and-tools.ts'
import { describeConversationHistory } from './store/conversation-history.ts'
import { describeConversations } from './store/conversations.ts'
import { describeCompactions } from './store/compactions.ts'
import { describeEvents } from './store/events.ts'
import { describeGroups } from './store/groups.ts'
import { describeIdentities } from './store/identities.ts'
import { describeImports } from './store/imports.ts'
import { describeMcpServers } from './store/mcp-servers.ts'
import { describeMessages } from './store/messages.ts'
import { describeMigration } from './store/migration.ts'
import { describeOrganizations } from './store/organizations.ts'
import { describeFileVectors } from './store/file-vectors.ts'
import { describeFiles } from './store/files.ts'
import { describePassages } from './store/passages.ts'
import { describeRetention } from './store/retention.ts'
import { describeRuns } from './store/runs.ts'
import { describeRunStreams } from './store/run-streams.ts'
import { describeSchedules } from './store/schedules.ts'
import { describeSecrets } from './store/secrets.ts'
import { describeOwnTools } from './store/own-tools.ts'
import { describeTemplates } from './store/templates.ts'
import { describeTurns } from './store/turns.ts'
import { describeUsage } from './store/usage.ts'
import { describeUsers } from './store/users.ts'
import { describeVectors } from './store/vectors.ts'

/** A fresh, empty store for one test. */
export interface StoreUnderTest {
  store: Store
  /** Opens the same data once more, as another process would; the test closes it. */
  reopen?: () => Promise<Store>
  /** Closes the store and removes its data. */
  close(): Promise<void>
}

/** What a test reads: the store of the test that runs now. */
export interface Subject {
  readonly store: Store
  readonly reopen: (() => Promise<Store>) | undefined
}

/** The contract of `Store`: an adapter is done when it passes. */
export function describeStore(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of Store`, () => {
    let current: StoreUnderTest | undefined
    const subject: Subject = {
      get store() {
        if (!current) throw new Error('read inside a test only')
        return current.store
      },
      get reopen() {
        return current?.reopen
      },
    }
    beforeEach(async () => {
      current = await make()
    })
    afterEach(async () => {
      await current?.close()
      current = undefined
    })
    it('answers that it is ready', () => subject.store.ready())
    describeAgents(subject)
    describeBlocks(subject)
    describeTools(subject)
    describeOwnTools(subject)
    describeMcpServers(subject)
    describeSchedules(subject)
    describeTemplates(subject)
    describeSecrets(subject)
    describeIdentities(subject)
    describeMessages(subject)
    describeImports(subject)
    describeMigration(subject)
    describeGroups(subject)
    describeArchives(subject)
    describePassages(subject)
    describeFiles(subject)
    describeUsage(subject)
    describeRetention(subject)
    describeUsers(subject)
    describeAccessTokens(subject)
    describeVectors(subject)
    describeFileVectors(subject)
    describeApprovals(subject)
    describeTurns(subject)
    describeCompactions(subject)
    describeConversations(subject)
    describeConversationHistory(subject)
    describeRuns(subject)
    describeRunStreams(subject)
    describeBatches(subject)
    describeEvents(subject)
    describeOrganizations(subject)
  })
}

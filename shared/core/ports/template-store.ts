import type { Agent } from '../../schema/agent.ts'
import type { TemplateBlock, TemplateContent, VersionName } from '../../schema/template.ts'
import type { Actor } from './actor.ts'

/** A template: its saved versions never change, its working one does. */
export interface Template {
  id: string
  name: string
  description: string | null
  created_at: string
  updated_at: string
  created_by_id: string
  /** Number of the newest saved version. */
  latest_version: number
  /** The saved version that the working one still is; null when it has changed since. */
  base_version: number | null
}

export interface TemplateVersion {
  /** Its own id; that of the template for the working version. */
  id: string
  /** Null for the working version. */
  version: number | null
  content: TemplateContent
}

/** An agent that was made from a template. */
export interface Deployment {
  id: string
  agent_id: string
  /** Null when the template was deleted. */
  template_id: string | null
  /** The version that the agent is at; null: the working one as it was then. */
  version: number | null
  memory_variables: Readonly<Record<string, string>>
}

export interface TemplateFilter {
  /** The name; with `exact` all of it, else a part, in either case. */
  name?: string | undefined
  exact?: boolean | undefined
  /** A part of the name or the description. */
  search?: string | undefined
  template_id?: string | undefined
  /** Only those that have this saved version. */
  version?: number | undefined
  sort_by?: 'updated_at' | 'created_at' | undefined
}

interface Window {
  offset: number
  limit: number
}

/** What an agent becomes when it is brought to a version. */
export interface AgentMigration {
  deployment_id: string
  template_id: string
  to: Pick<TemplateVersion, 'id' | 'version'>
  agent: Partial<Agent>
  /** Tags of the version before and of this one: those that are the agent's own stay. */
  tags: { before: readonly string[]; after: readonly string[] }
  tool_ids: readonly string[]
  folder_ids: readonly string[]
  /** Keep folders that the agent has besides. */
  keep_folders: boolean
  /** Added to the agent's own. */
  identity_ids: readonly string[]
  /** Remove the secrets of other names; null keeps all. */
  only_secrets: readonly string[] | null
  /** With their variables filled. */
  blocks: readonly TemplateBlock[]
  /** Keep the values of blocks that are there. */
  keep_values: boolean
  /** Detach blocks that the version does not have, and delete those that were made for this agent alone. */
  delete_blocks: boolean
  memory_variables: Readonly<Record<string, string>>
}

/** What a migration did to an agent: blocks by their labels, tools by their ids. */
export interface Migrated {
  agent_id: string
  from: number | null
  blocks: { made: string[]; changed: string[]; kept: string[]; removed: string[] }
  tools: { added: number; removed: number }
}

/** Templates, their versions and the agents that were made from them. */
export interface TemplateStore {
  /** With its first version. Throws `conflict` for a name that is taken. */
  create(
    actor: Actor,
    template: Pick<Template, 'id' | 'name' | 'description' | 'created_at'>,
    content: TemplateContent,
    message: string | null,
  ): Promise<Template>
  /** By its name, or its id. */
  get(actor: Actor, name: string): Promise<Template | null>
  /** The last changed first, or with `created_at` the newest. */
  list(actor: Actor, filter: TemplateFilter, window: Window): Promise<Template[]>
  version(actor: Actor, template_id: string, version: VersionName): Promise<TemplateVersion | null>
  /** Newest first. */
  versions(
    actor: Actor,
    template_id: string,
    window: Window,
  ): Promise<{ versions: { version: number; message: string | null; created_at: string }[]; total: number }>
  /** Changes the working version; with `save_first` unsaved changes of it become a version before. Null: no template. */
  setCurrent(
    actor: Actor,
    template_id: string,
    content: TemplateContent,
    save_first: string | null,
  ): Promise<{ template: Template; saved: number | null } | null>
  /** Makes the working version the newest saved one. */
  save(actor: Actor, template_id: string, message: string | null): Promise<Template | null>
  /**
   * Makes the working version what a saved one was; unsaved changes become a version before, with this message. Null: no
   * template. Throws `not_found` for a version that is not there.
   */
  rollback(
    actor: Actor,
    template_id: string,
    version: number | 'latest',
    message: string,
  ): Promise<{ template: Template; to: number; saved: number | null } | null>
  /** Throws `conflict` for a name that is taken. */
  update(
    actor: Actor,
    template_id: string,
    patch: Partial<Pick<Template, 'name' | 'description'>>,
  ): Promise<Template | null>
  /** With all versions; its agents stay. */
  delete(actor: Actor, template_id: string): Promise<boolean>
  /** Agents that were made from it, oldest first. */
  deployments(actor: Actor, template_id: string): Promise<Deployment[]>
  deployment(actor: Actor, deployment_id: string): Promise<Deployment | null>
  deploymentOf(actor: Actor, agent_id: string): Promise<Deployment | null>
  /**
   * Brings an agent to a version, all of it or nothing. Null when the agent or the template is gone. Throws `not_found`
   * for a tool, folder or identity that is, and `conflict` for two blocks of one label.
   */
  migrate(actor: Actor, migration: AgentMigration): Promise<Migrated | null>
}

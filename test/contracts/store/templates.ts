import assert from 'node:assert/strict'
import type { Actor } from '../../../shared/core/ports/actor.ts'
import type { AgentMigration, Template } from '../../../shared/core/ports/template-store.ts'
import { newId } from '../../../shared/schema/ids.ts'
import type { TemplateBlock, TemplateContent } from '../../../shared/schema/template.ts'
import type { Subject } from '../store.contract.ts'
import { aBlock, aBuiltin, ADA, anAgent, at, EVE } from './samples.ts'

const window = { offset: 0, limit: 10 }

function aTemplateBlock(label: string, value: string, more: Partial<TemplateBlock> = {}): TemplateBlock {
  return {
    entity_id: newId('entity'),
    label,
    value,
    limit: 1000,
    description: null,
    read_only: false,
    preserve_on_migration: null,
    metadata: null,
    hidden: null,
    tags: [],
    ...more,
  }
}

function content(system: string, more: Partial<TemplateContent> = {}): TemplateContent {
  const { agent } = anAgent('sample', { fields: { system } })
  return {
    agent: { ...agent, entity_id: newId('entity') },
    blocks: [],
    tags: [],
    tools: [],
    folder_ids: [],
    identity_ids: [],
    tool_variables: [],
    ...more,
  }
}

function aMigration(
  template_id: string,
  deployment_id: string,
  more: Partial<AgentMigration>,
): AgentMigration {
  return {
    deployment_id,
    template_id,
    to: { id: newId('template_version'), version: 2 },
    agent: { system: 'Second.' },
    tags: { before: [], after: [] },
    tool_ids: [],
    folder_ids: [],
    keep_folders: false,
    identity_ids: [],
    only_secrets: null,
    blocks: [],
    keep_values: false,
    delete_blocks: false,
    memory_variables: {},
    ...more,
  }
}

export function describeTemplates(subject: Subject): void {
  const make = (actor: Actor, name: string, held: TemplateContent) =>
    subject.store.templates.create(
      actor,
      { id: newId('template'), name, description: null, created_at: at(0) },
      held,
      null,
    )
  /** An agent of a template, at its version 1. */
  const deploy = async (template: Template, blocks: TemplateBlock[], tags: string[] = []) => {
    const id = newId('deployment')
    const made = anAgent('made', {
      new_blocks: blocks.map(({ label, value, ...fields }) =>
        aBlock(label ?? '', value, { ...fields, deployment_id: id }),
      ),
      tags,
      secrets: { KEEP: '1', DROP: '2' },
    })
    const agent_id = made.agent.id
    const deployment = {
      id,
      agent_id,
      template_id: template.id,
      version: 1,
      memory_variables: { name: 'Ada' },
    }
    await subject.store.agents.create(ADA, { ...made, deployment })
    return deployment
  }
  const bring = (template: Template, deployment_id: string, more: Partial<AgentMigration>) =>
    subject.store.templates.migrate(ADA, aMigration(template.id, deployment_id, more))

  describe('templates', () => {
    it('keep every saved version as it was, whatever becomes of the working one', async () => {
      const { templates } = subject.store
      const [one, two, three] = [content('One.'), content('Two.'), content('Three.')]
      const { id } = await make(ADA, 'helper', one)
      await templates.setCurrent(ADA, id, two, null)
      assert.equal((await templates.get(ADA, 'helper'))?.base_version, null)
      const saved = await templates.save(ADA, id, 'Second')
      assert.deepEqual([saved?.latest_version, saved?.base_version], [2, 2])
      const changed = await templates.setCurrent(ADA, id, three, 'not lost')
      assert.equal(changed?.saved, null, 'nothing had changed since the version before')
      const again = await templates.setCurrent(ADA, id, one, 'not lost')
      assert.equal(again?.saved, 3)
      const systems = []
      for (const version of [1, 2, 3, 'latest', 'current'] as const)
        systems.push((await templates.version(ADA, id, version))?.content.agent.system)
      assert.deepEqual(systems, ['One.', 'Two.', 'Three.', 'Three.', 'One.'])
      assert.deepEqual((await templates.version(ADA, id, 1))?.content, one)
      assert.equal(await templates.version(ADA, id, 4), null)
      const { versions, total } = await templates.versions(ADA, id, { offset: 1, limit: 5 })
      assert.deepEqual(
        [versions.map(({ version, message }) => [version, message]), total],
        [
          [
            [2, 'Second'],
            [1, null],
          ],
          3,
        ],
      )
    })

    it('go back to an older version, and save what would be lost', async () => {
      const { templates } = subject.store
      const { id } = await make(ADA, 'helper', content('One.'))
      await templates.setCurrent(ADA, id, content('Two.'), null)
      const back = await templates.rollback(ADA, id, 1, 'before the rollback')
      assert.deepEqual([back?.to, back?.saved, back?.template.latest_version], [1, 2, 2])
      assert.equal((await templates.version(ADA, id, 'current'))?.content.agent.system, 'One.')
      assert.equal((await templates.rollback(ADA, id, 'latest', 'x'))?.saved, null)
      assert.equal((await templates.version(ADA, id, 'current'))?.content.agent.system, 'Two.')
      await assert.rejects(templates.rollback(ADA, id, 9, 'x'), { code: 'not_found' })
      assert.equal(await templates.rollback(ADA, newId('template'), 1, 'x'), null)
    })

    it('have names of their own in an organisation, and are found by them, by id and by parts', async () => {
      const { templates } = subject.store
      const first = await make(ADA, 'first_helper', content('One.'))
      const second = await make(ADA, 'second', content('Two.'))
      await make(EVE, 'first_helper', content('Hers.'))
      await assert.rejects(make(ADA, 'second', content('x')), { code: 'conflict' })
      await assert.rejects(templates.update(ADA, first.id, { name: 'second' }), { code: 'conflict' })
      await templates.update(ADA, first.id, { name: 'first', description: 'Helps at 100%' })
      assert.equal((await templates.get(ADA, first.id))?.name, 'first')
      assert.equal(await templates.get(ADA, 'first_helper'), null)
      const names = async (filter: object, at = window) =>
        (await templates.list(ADA, filter, at)).map(({ name }) => name)
      assert.deepEqual(await names({}), ['first', 'second'])
      assert.deepEqual(await names({}, { offset: 1, limit: 1 }), ['second'])
      assert.deepEqual(await names({ name: 'SEC' }), ['second'])
      assert.deepEqual(await names({ name: 'sec', exact: true }), [])
      assert.deepEqual(await names({ search: '100%' }), ['first'])
      assert.deepEqual(await names({ template_id: second.id }), ['second'])
      await templates.save(ADA, second.id, null)
      assert.deepEqual(await names({ version: 2 }), ['second'])
    })

    it('bring an agent to a version in one go: its settings, blocks, tags, tools and secrets', async () => {
      const { agents, blocks, secrets, templates, tools } = subject.store
      await tools.seed(ADA, [aBuiltin('look'), aBuiltin('see')])
      const [look] = await tools.list(ADA, { names: ['look'] }, { limit: 1, order: 'asc' })
      const template = await make(ADA, 'helper', content('One.'))
      const [human, persona, gone] = [
        aTemplateBlock('human', 'old'),
        aTemplateBlock('persona', 'mine', { preserve_on_migration: true }),
        aTemplateBlock('gone', 'x'),
      ]
      const deployment = await deploy(template, [human, persona, gone], ['old', 'own'])
      const { agent_id } = deployment
      const own = await blocks.create(ADA, aBlock('notes', 'the agent’s own'))
      await agents.attachBlock(ADA, agent_id, own.id)
      const done = await bring(template, deployment.id, {
        tags: { before: ['old'], after: ['new'] },
        tool_ids: [look!.id],
        only_secrets: ['KEEP'],
        blocks: [
          { ...human, label: 'user', value: 'new' },
          { ...persona, value: 'theirs' },
          aTemplateBlock('more', 'm'),
        ],
        delete_blocks: true,
        memory_variables: { name: 'Kai' },
      })
      assert.deepEqual(done, {
        agent_id,
        from: 1,
        blocks: { made: ['more'], changed: ['user'], kept: ['persona'], removed: ['gone', 'notes'] },
        tools: { added: 1, removed: 0 },
      })
      const now = await agents.get(ADA, agent_id, ['agent.blocks', 'agent.tags', 'agent.tools'])
      assert.deepEqual(
        now?.blocks.map(({ label, value }) => [label, value]),
        [
          ['user', 'new'],
          ['persona', 'mine'],
          ['more', 'm'],
        ],
      )
      assert.deepEqual(
        [now?.system, now?.tags, now?.tools.map(({ name }) => name)],
        ['Second.', ['new', 'own'], ['look']],
      )
      assert.deepEqual(await secrets.values(ADA, agent_id), { KEEP: '1' })
      assert.notEqual(await blocks.get(ADA, own.id), null, 'a block of somebody else is only detached')
      const after = await templates.deployment(ADA, deployment.id)
      assert.deepEqual([after?.version, after?.memory_variables], [2, { name: 'Kai' }])
      assert.deepEqual(await templates.deploymentOf(ADA, agent_id), after)
    })

    it('leave an agent as it was when a part of a migration cannot be', async () => {
      const { agents, templates } = subject.store
      const template = await make(ADA, 'helper', content('One.'))
      const human = aTemplateBlock('human', 'old')
      const deployment = await deploy(template, [human])
      const relations = ['agent.blocks', 'agent.tags', 'agent.tools'] as const
      const before = await agents.get(ADA, deployment.agent_id, relations)
      const impossible: Partial<AgentMigration>[] = [
        { tool_ids: [newId('tool')], blocks: [{ ...human, value: 'new' }] },
        { folder_ids: [newId('source')], blocks: [{ ...human, value: 'new' }] },
        { identity_ids: [newId('identity')], blocks: [{ ...human, value: 'new' }] },
      ]
      for (const wrong of impossible)
        await assert.rejects(bring(template, deployment.id, wrong), { code: 'not_found' })
      assert.deepEqual(await agents.get(ADA, deployment.agent_id, relations), before)
      assert.equal((await templates.deployment(ADA, deployment.id))?.version, 1)
    })

    it('keep memories when they are asked to, and blocks that the version does not have', async () => {
      const { agents, blocks } = subject.store
      const template = await make(ADA, 'helper', content('One.'))
      const [human, extra] = [aTemplateBlock('human', 'old'), aTemplateBlock('extra', 'e')]
      const deployment = await deploy(template, [human, extra])
      const agent = await agents.get(ADA, deployment.agent_id, ['agent.blocks'])
      await blocks.update(ADA, agent!.blocks[0]!.id, { value: 'learned' })
      const done = await bring(template, deployment.id, {
        blocks: [{ ...human, value: 'new', limit: 77 }],
        keep_values: true,
      })
      assert.deepEqual(done?.blocks, { made: [], changed: ['human'], kept: [], removed: [] })
      const now = await agents.get(ADA, deployment.agent_id, ['agent.blocks'])
      assert.deepEqual(
        now?.blocks.map(({ label, value, limit }) => [label, value, limit]),
        [
          ['human', 'learned', 77],
          ['extra', 'e', 1000],
        ],
      )
    })

    it('that are deleted leave their agents; a deleted agent leaves its template', async () => {
      const { agents, templates } = subject.store
      const template = await make(ADA, 'helper', content('One.'))
      const [one, two] = [await deploy(template, []), await deploy(template, [])]
      assert.deepEqual(
        (await templates.deployments(ADA, template.id)).map(({ id }) => id),
        [one.id, two.id],
      )
      await agents.delete(ADA, two.agent_id)
      assert.deepEqual(
        (await templates.deployments(ADA, template.id)).map(({ id }) => id),
        [one.id],
      )
      assert.equal(await bring(template, two.id, {}), null)
      assert.equal(await templates.delete(ADA, template.id), true)
      assert.equal(await templates.delete(ADA, template.id), false)
      assert.notEqual(await agents.get(ADA, one.agent_id, []), null)
      assert.equal((await templates.deployment(ADA, one.id))?.template_id, null)
      assert.equal(await bring(template, one.id, {}), null)
      await assert.rejects(deploy(template, []), { code: 'not_found' })
    })

    it('keep their organisation from being deleted', async () => {
      const { templates, users } = subject.store
      const org = { id: newId('org'), name: 'team', created_at: at(0), privileged_tools: false }
      const actor = { user_id: newId('user'), organization_id: (await users.createOrganization(org)).id }
      const { id } = await make(actor, 'helper', content('One.'))
      await assert.rejects(users.deleteOrganization(org.id), {
        code: 'conflict',
        message: /still has templates/,
      })
      await templates.delete(actor, id)
      assert.equal(await users.deleteOrganization(org.id), true)
    })

    it('are nobody else’s', async () => {
      const { templates } = subject.store
      const { id } = await make(ADA, 'helper', content('One.'))
      const deployment = await deploy((await templates.get(ADA, id))!, [])
      assert.deepEqual(
        [
          await templates.get(EVE, id),
          await templates.get(EVE, 'helper'),
          await templates.version(EVE, id, 'latest'),
          await templates.setCurrent(EVE, id, content('stolen'), null),
          await templates.save(EVE, id, null),
          await templates.rollback(EVE, id, 1, 'x'),
          await templates.update(EVE, id, { name: 'stolen' }),
          await templates.deployment(EVE, deployment.id),
          await templates.deploymentOf(EVE, deployment.agent_id),
        ],
        Array<null>(9).fill(null),
      )
      assert.deepEqual(await templates.list(EVE, {}, window), [])
      assert.deepEqual(await templates.versions(EVE, id, window), { versions: [], total: 0 })
      assert.deepEqual(await templates.deployments(EVE, id), [])
      assert.equal(await templates.delete(EVE, id), false)
      assert.equal(await templates.migrate(EVE, aMigration(id, deployment.id, {})), null)
      assert.equal((await templates.get(ADA, 'helper'))?.latest_version, 1)
    })
  })
}

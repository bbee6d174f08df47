import assert from 'node:assert/strict'
import { wrongPrefilled } from '../../shared/core/turn/prefilled.ts'
import { ToolRules } from '../../shared/core/turn/tool-rules.ts'
import type { Tool } from '../../shared/schema/tool.ts'
import { type ToolRule, toolRule } from '../../shared/schema/tool.ts'

const ATTACHED = ['a', 'b', 'c', 'd']
const rule = (type: ToolRule['type'], tool_name: string, more = {}): ToolRule =>
  toolRule.parse({ type, tool_name, ...more })
/** After these calls, each returning `ok` unless `returns` says otherwise. */
function after(past: string[], rules: ToolRule[], returns: Record<string, string> = {}): ToolRules {
  const made = new ToolRules(rules, ATTACHED)
  for (const name of past) made.record({ name, text: returns[name] ?? 'ok' })
  return made
}

describe('tool rules', () => {
  it('allow everything and force nothing when there are none', () => {
    const none = after(['a'], [])
    assert.deepEqual(none.valid(), ATTACHED)
    assert.deepEqual([none.forced, none.parallel, none.missing()], [false, true, []])
  })

  describe('run_first', () => {
    const first = [rule('run_first', 'c'), rule('run_first', 'b', { args: { x: 1 } })]

    it('leave only those tools, in the order of the tools, and force one of them', () => {
      const rules = after([], first)
      assert.deepEqual([rules.valid(), rules.forced], [['b', 'c'], true])
      assert.deepEqual([rules.prefilled('b'), rules.prefilled('c')], [{ x: 1 }, null])
    })

    it('say nothing after the first call', () => {
      const rules = after(['b'], first)
      assert.deepEqual([rules.valid(), rules.forced, rules.prefilled('b')], [ATTACHED, false, null])
    })

    it('force nothing when the agent does not have the tool', () => {
      const rules = after([], [rule('run_first', 'gone')])
      assert.deepEqual([rules.valid(), rules.forced], [ATTACHED, false])
    })
  })

  describe('constrain_child_tools', () => {
    const child = [
      rule('constrain_child_tools', 'a', {
        children: ['b', 'c'],
        child_arg_nodes: [{ name: 'b', args: { x: 1 } }, { name: 'c' }],
      }),
    ]

    it('leave only the children right after the tool, force one of them and give it its arguments', () => {
      const rules = after(['d', 'a'], child)
      assert.deepEqual([rules.valid(), rules.forced], [['b', 'c'], true])
      assert.deepEqual([rules.prefilled('b'), rules.prefilled('c')], [{ x: 1 }, null])
    })

    it('say nothing before the tool and after the child', () => {
      for (const past of [[], ['d'], ['a', 'b']]) {
        const rules = after(past, child)
        assert.deepEqual([rules.valid(), rules.forced, rules.prefilled('b')], [ATTACHED, false, null])
      }
    })

    it('allow everything when the agent has none of the children', () => {
      assert.deepEqual(
        after(['a'], [rule('constrain_child_tools', 'a', { children: ['gone'] })]).valid(),
        ATTACHED,
      )
    })

    it('refuse arguments for a tool that is no child', () => {
      const wrong = { type: 'constrain_child_tools', tool_name: 'a', children: ['b'] }
      assert.equal(toolRule.safeParse({ ...wrong, child_arg_nodes: [{ name: 'c' }] }).success, false)
    })
  })

  describe('conditional', () => {
    const on = (mapping: Record<string, string>, more = {}) => [
      rule('conditional', 'a', { child_output_mapping: mapping, ...more }),
    ]
    const next = (output: string, rules: ToolRule[]) => after(['a'], rules, { a: output }).valid()

    it('compare the return as text, as a boolean and as a number', () => {
      const mapping = { yes: 'b', True: 'c', '10': 'd' }
      assert.deepEqual(next('yes', on(mapping)), ['b'])
      assert.deepEqual(next('true', on(mapping)), ['c'])
      assert.deepEqual(next(' TRUE\n', on(mapping)), ['c'])
      assert.deepEqual(next('10.0', on(mapping)), ['d'])
      assert.deepEqual(next('1e1', on(mapping)), ['d'])
    })

    it('do not take an empty return for 0, nor text for a number', () => {
      assert.deepEqual(next('', on({ '0': 'b' })), ATTACHED)
      assert.deepEqual(next('10 apples', on({ '10': 'b' })), ATTACHED)
    })

    it('fall back to the default child, else to everything, also when a mapping is required', () => {
      assert.deepEqual(next('no', on({ yes: 'b' }, { default_child: 'd' })), ['d'])
      assert.deepEqual(next('no', on({ yes: 'b' })), ATTACHED)
      assert.deepEqual(next('no', on({ yes: 'b' }, { require_output_mapping: true })), ATTACHED)
    })

    it('force a call', () => {
      assert.equal(after(['a'], on({ ok: 'b' })).forced, true)
      assert.equal(after(['a', 'b'], on({ ok: 'b' })).forced, false)
    })

    it('look at the last return of the tool', () => {
      const rules = new ToolRules(on({ one: 'b', two: 'c' }), ATTACHED)
      rules.record({ name: 'a', text: 'one' })
      rules.record({ name: 'a', text: 'two' })
      assert.deepEqual(rules.valid(), ['c'])
    })
  })

  describe('max_count_per_step', () => {
    const twice = [rule('max_count_per_step', 'a', { max_count_limit: 2 })]

    it('take the tool away after that many calls of the turn', () => {
      assert.deepEqual(after(['a', 'b'], twice).valid(), ATTACHED)
      assert.deepEqual(after(['a', 'b', 'a'], twice).valid(), ['b', 'c', 'd'])
    })

    it('hold when other rules leave nothing', () => {
      const rules = [...twice, rule('constrain_child_tools', 'b', { children: ['a'] })]
      assert.deepEqual(after(['a', 'a', 'b'], rules).valid(), ['b', 'c', 'd'])
      const only = new ToolRules([rule('max_count_per_step', 'a', { max_count_limit: 1 })], ['a'])
      only.record({ name: 'a', text: 'ok' })
      assert.deepEqual(only.valid(), [])
    })
  })

  describe('parent_last_tool', () => {
    const parent = [rule('parent_last_tool', 'a', { children: ['b', 'c'] })]

    it('keep the children away until their parent was called last', () => {
      assert.deepEqual(after([], parent).valid(), ['a', 'd'])
      assert.deepEqual(after(['d'], parent).valid(), ['a', 'd'])
      assert.deepEqual(after(['a', 'b'], parent).valid(), ['a', 'd'])
    })

    it('let a child follow its parent, and force it', () => {
      const rules = after(['a'], parent)
      assert.deepEqual([rules.valid(), rules.forced], [['b', 'c'], true])
    })

    it('let a child of two parents follow either', () => {
      const both = [
        rule('parent_last_tool', 'a', { children: ['c'] }),
        rule('parent_last_tool', 'b', { children: ['c'] }),
      ]
      assert.deepEqual(after(['a'], both).valid(), ['c'])
      assert.deepEqual(after(['b'], both).valid(), ['c'])
      assert.deepEqual(after(['d'], both).valid(), ['a', 'b', 'd'])
    })
  })

  it('of several kinds leave what all of them allow', () => {
    const rules = [
      rule('constrain_child_tools', 'a', { children: ['b', 'c'] }),
      rule('constrain_child_tools', 'a', { children: ['c', 'd'] }),
      rule('max_count_per_step', 'd', { max_count_limit: 1 }),
    ]
    assert.deepEqual(after(['a'], rules).valid(), ['c'])
  })

  it('end or continue a turn, and require tools before its end', () => {
    const rules = after(
      ['a'],
      [
        rule('exit_loop', 'b'),
        rule('continue_loop', 'c'),
        rule('constrain_child_tools', 'd', { children: ['a'] }),
        rule('required_before_exit', 'a'),
        rule('required_before_exit', 'c'),
        rule('required_before_exit', 'gone'),
      ],
    )
    assert.deepEqual(
      ATTACHED.map((name) => [rules.ends(name), rules.goesOn(name)]),
      [
        [false, false],
        [true, false],
        [false, true],
        [false, true],
      ],
    )
    assert.deepEqual([rules.missing(), rules.missing(['c'])], [['c'], []])
  })

  it('allow parallel calls only when none but approvals are asked for', () => {
    const approval = rule('requires_approval', 'a')
    assert.deepEqual([after([], [approval]).parallel, after([], [approval]).needsApproval('a')], [true, true])
    assert.equal(after([], [approval, rule('exit_loop', 'b')]).parallel, false)
  })

  it('have no fields but their own', () => {
    assert.equal(toolRule.safeParse({ type: 'exit_loop', tool_name: 'a', children: [] }).success, false)
    assert.equal(toolRule.safeParse({ type: 'max_count_per_step', tool_name: 'a' }).success, false)
    assert.equal(
      toolRule.safeParse({ type: 'exit_loop', tool_name: 'a', prompt_template: null }).success,
      true,
    )
  })

  it('give a tool only arguments that its schema takes', () => {
    const properties = {
      n: { type: 'integer' },
      kind: { type: 'string', enum: ['x', 'y'] },
      maybe: { anyOf: [{ type: 'string' }, { type: 'null' }] },
      any: {},
    }
    const tool = { name: 'a', json_schema: { parameters: { type: 'object', properties } } } as unknown as Tool
    assert.equal(wrongPrefilled(tool, { n: 1, kind: 'x', maybe: null, any: [1] }), null)
    assert.match(wrongPrefilled(tool, { n: 1.5 }) ?? '', /'n' must be of type integer/)
    assert.match(wrongPrefilled(tool, { kind: 'z' }) ?? '', /'kind' must be one of "x", "y"/)
    assert.match(wrongPrefilled(tool, { maybe: 3 }) ?? '', /'maybe' is of none/)
    assert.match(wrongPrefilled(tool, { other: 3 }) ?? '', /'other' is no parameter of a/)
  })
})

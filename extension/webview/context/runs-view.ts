import { html, nothing, svg, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { ContextRun, ContextStep } from '../../context-protocol.ts'
import { textView, type PanelActions } from './parts-view.ts'
import { counted, duration, moment, number } from './words.ts'

const STATES: Record<ContextRun['status'], string> = {
  created: 'waiting',
  running: 'running',
  completed: 'done',
  failed: 'failed',
  cancelled: 'stopped',
}

/** Runs, newest first; each opens to its steps, their times and tokens, and what went to the provider and came back. */
export function runsView(
  runs: readonly ContextRun[],
  earlier: (() => void) | null,
  panel: PanelActions,
): TemplateResult {
  if (runs.length === 0) return html`<p class="about">This conversation has had no message yet.</p>`
  return html`
    ${repeat(
      runs,
      ({ id }) => id,
      (run) => runView(run, panel),
    )}
    ${earlier ? html`<button class="link" @click=${earlier}>Show earlier runs</button>` : nothing}
  `
}

/** Key under which the steps of a run are kept. */
export const stepsKey = (run_id: string) => `steps:${run_id}`

function runView(run: ContextRun, panel: PanelActions): TemplateResult {
  const key = `run:${run.id}`
  const took = run.duration_ms === null ? '' : ` · ${duration(run.duration_ms)}`
  return html`<details class="item run" .open=${panel.folds.isOpen(key)} @toggle=${panel.folds.toggled(key)}>
    <summary>
      <span class="state ${run.status}">${STATES[run.status]}</span>
      <span class="detail">${run.about ?? 'What it answers is not in context'}</span>
      <span class="tokens"><time datetime=${run.created_at}>${moment(run.created_at)}</time>${took}</span>
    </summary>
    ${panel.folds.isOpen(key) ? stepsView(run, panel) : nothing}
  </details>`
}

function stepsView(run: ContextRun, panel: PanelActions): TemplateResult {
  const found = panel.folds.answer(stepsKey(run.id), 'run.steps', { runId: run.id })
  if (!found) return html`<p class="about">Reading…</p>`
  if ('failure' in found) return html`<p class="about" role="alert">${found.failure}</p>`
  const steps = found.value
  const sum = (of: (step: ContextStep) => number | null) =>
    steps.reduce((all, step) => all + (of(step) ?? 0), 0)
  const first = run.first_token_ms === null ? '' : ` · first token after ${duration(run.first_token_ms)}`
  const cost = sum(({ cost_usd }) => cost_usd)
  const whole = Math.max(
    run.duration_ms ?? 0,
    ...steps.map((step) => step.start_ms + (step.duration_ms ?? 0)),
    1,
  )
  return html`
    <p class="about">
      ${counted(steps.length, 'step')} · ${number(sum((step) => step.prompt_tokens))} tokens in,
      ${number(sum((step) => step.completion_tokens))} out${first}${cost > 0 ? ` · $${cost.toFixed(4)}` : ''}
      ${run.stop_reason && run.stop_reason !== 'end_turn' ? html` · ended by <code>${run.stop_reason}</code>` : nothing}
    </p>
    <ol class="steps">
      ${steps.map((step, index) => html`<li>${stepView(step, index, whole, panel)}</li>`)}
    </ol>
  `
}

function stepView(step: ContextStep, index: number, whole: number, panel: PanelActions): TemplateResult {
  const { prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, model_ms, tools_ms } = step
  const facts = [
    step.model ?? 'no model',
    model_ms === null ? '' : `model ${duration(model_ms)}`,
    tools_ms === null ? '' : `tools ${duration(tools_ms)}`,
    `${number(prompt_tokens)} in${cached_tokens ? ` (${number(cached_tokens)} cached)` : ''}`,
    `${number(completion_tokens)} out${reasoning_tokens ? ` (${number(reasoning_tokens)} reasoning)` : ''}`,
  ].filter((fact) => fact !== '')
  return html`
    <p class="step"><strong>Step ${index + 1}</strong> <span class="quiet">${facts.join(' · ')}</span></p>
    ${timeline(step, whole)} ${step.error === null ? nothing : html`<p class="failed">${step.error}</p>`}
    ${traceView(step, 'request', 'Request', panel)} ${traceView(step, 'response', 'Response', panel)}
  `
}

/** When the model and the tools worked, within the run. */
function timeline({ model_start_ms, model_ms, tools_ms }: ContextStep, whole: number): TemplateResult {
  if (model_start_ms === null || model_ms === null) return html``
  const bar = (name: string, start: number, length: number) =>
    svg`<rect class=${name} x=${percent(start / whole)} width=${percent(length / whole)} height="100%">
      <title>${name === 'asked' ? 'Model' : 'Tools'}: ${duration(length)}</title>
    </rect>`
  return html`<svg class="timeline" aria-hidden="true">
    ${bar('asked', model_start_ms, model_ms)}
    ${tools_ms === null ? nothing : bar('worked', model_start_ms + model_ms, tools_ms)}
  </svg>`
}

function traceView(
  step: ContextStep,
  side: 'request' | 'response',
  title: string,
  panel: PanelActions,
): TemplateResult {
  const key = `${side}:${step.id}`
  return html`<details class="trace" .open=${panel.folds.isOpen(key)} @toggle=${panel.folds.toggled(key)}>
    <summary>${title}</summary>
    ${panel.folds.isOpen(key) ? traceText(step, side, title, panel) : nothing}
  </details>`
}

function traceText(
  step: ContextStep,
  side: 'request' | 'response',
  title: string,
  panel: PanelActions,
): TemplateResult {
  const found = panel.folds.answer(`trace:${step.id}`, 'step.trace', { stepId: step.id })
  if (!found) return html`<p class="about">Reading…</p>`
  if ('failure' in found) return html`<p class="about" role="alert">${found.failure}</p>`
  if (found.value === null) return html`<p class="about">The trace of this step is not kept any more.</p>`
  return textView(`${title}.json`, { text: found.value[side] }, panel)
}

function percent(part: number): string {
  return `${(100 * Math.min(1, part)).toFixed(3)}%`
}

import { html, LitElement, nothing, type TemplateResult } from 'lit'
import type { FormField, FromRunForm, RunForm, RunOutcome, ToRunForm } from '../../run-form.ts'
import { formStyles } from './form-styles.ts'

interface Kept {
  values: Record<string, string>
}
interface VsCodeApi {
  postMessage(message: FromRunForm): void
  getState(): Kept | undefined
  setState(state: Kept): void
}
declare function acquireVsCodeApi(): VsCodeApi

const vscode = acquireVsCodeApi()

/** The form of a tool: an input for each argument, and what came of the last call. */
export class LociRunForm extends LitElement {
  static override readonly styles = formStyles
  static override readonly properties = {
    form: { state: true },
    values: { state: true },
    problems: { state: true },
    running: { state: true },
    outcome: { state: true },
  }
  declare form: RunForm | null
  /** What the user has written; fields that are not in it have what the host put there. */
  declare values: Record<string, string>
  declare problems: Record<string, string>
  declare running: boolean
  declare outcome: RunOutcome | null

  constructor() {
    super()
    this.form = null
    this.values = vscode.getState()?.values ?? {}
    this.problems = {}
    this.running = false
    this.outcome = null
  }

  override connectedCallback(): void {
    super.connectedCallback()
    window.addEventListener('message', ({ data }: MessageEvent<ToRunForm>) => this.#hear(data))
    vscode.postMessage({ kind: 'ready' })
  }

  #hear(message: ToRunForm): void {
    switch (message.kind) {
      case 'form':
        this.form = message.form
        return
      case 'refused':
        this.problems = message.problems
        void this.#focusProblem()
        return
      case 'running':
        this.running = true
        this.problems = {}
        return
      case 'outcome':
        this.running = false
        this.outcome = message.outcome
    }
  }

  async #focusProblem(): Promise<void> {
    await this.updateComplete
    const first = this.form?.fields.find(({ name }) => name in this.problems)
    if (first) this.renderRoot.querySelector<HTMLElement>(`#${idOf(first)}`)?.focus()
  }

  #set(field: FormField, value: string): void {
    this.values = { ...this.values, [field.name]: value }
    const { [field.name]: _, ...problems } = this.problems
    this.problems = problems
    vscode.setState({ values: this.values })
  }

  #run(event?: Event): void {
    event?.preventDefault()
    if (!this.form || this.running || this.form.problem !== null) return
    // What nobody has written anything into is left out, which is not the same as empty.
    const values = this.form.fields
      .filter(({ name, value }) => name in this.values || value !== '')
      .map((field) => [field.name, this.#valueOf(field)])
    vscode.postMessage({ kind: 'run', values: Object.fromEntries(values) as Record<string, string> })
  }

  #valueOf(field: FormField): string {
    return this.values[field.name] ?? field.value
  }

  #keys(event: KeyboardEvent): void {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.#run(event)
    if (event.key === 'Escape' && this.running) vscode.postMessage({ kind: 'cancel' })
  }

  override render(): TemplateResult {
    const { form } = this
    if (!form) return html`<main aria-busy="true"></main>`
    return html`<main @keydown=${(event: KeyboardEvent) => this.#keys(event)}>
      <header>
        <h1>${form.name}</h1>
        <p class="quiet">${form.description}</p>
      </header>
      <form @submit=${(event: Event) => this.#run(event)}>
        ${form.fields.length === 0 ? html`<p class="quiet">It takes no arguments.</p>` : nothing}
        ${form.fields.map((field) => this.#field(field))}
        ${form.problem === null ? nothing : html`<p class="problem" role="alert">${form.problem}</p>`}
        <div class="actions">
          <vscode-button ?disabled=${this.running || form.problem !== null} @click=${() => this.#run()}>
            Run
          </vscode-button>
          ${
            this.running
              ? html`<vscode-button secondary @click=${() => vscode.postMessage({ kind: 'cancel' })}>
                  Cancel
                </vscode-button>`
              : nothing
          }
          <span class="quiet">Calls ${form.place} in the sandbox, without an agent.</span>
        </div>
      </form>
      <section class="outcome" aria-live="polite" aria-busy=${this.running}>${this.#outcome()}</section>
    </main>`
  }

  #field(field: FormField): TemplateResult {
    const id = idOf(field)
    const problem = this.problems[field.name]
    const notes = [
      field.description,
      field.required || field.fallback !== null ? '' : 'May be left out.',
      field.fallback === null ? '' : `Default: ${field.fallback}`,
    ].filter((note) => note !== '')
    return html`<div class="field">
      <label for=${id}>
        ${field.name}${field.required ? html`<span class="quiet" aria-hidden="true"> *</span>` : nothing}
      </label>
      ${this.#input(field, id)}
      <p class="quiet" id="${id}-about">${notes.join(' ')}</p>
      ${problem === undefined ? nothing : html`<p class="problem" id="${id}-problem">${problem}</p>`}
    </div>`
  }

  #input(field: FormField, id: string): TemplateResult {
    const value = this.#valueOf(field)
    const invalid = field.name in this.problems
    const described = `${id}-about${invalid ? ` ${id}-problem` : ''}`
    const change = (event: Event) => this.#set(field, (event.target as HTMLInputElement).value)
    switch (field.kind) {
      case 'switch':
      case 'choice': {
        const choices =
          field.kind === 'choice'
            ? field.choices
            : ['true', 'false'].map((each) => ({ label: each, value: each }))
        return html`<select
          id=${id}
          aria-describedby=${described}
          aria-invalid=${invalid}
          ?required=${field.required}
          @change=${change}
        >
          ${
            field.required && value !== ''
              ? nothing
              : html`<option value="" ?selected=${value === ''}>
                  ${field.required ? '' : '(left out)'}
                </option>`
          }
          ${choices.map(
            (choice) =>
              html`<option value=${choice.value} ?selected=${choice.value === value}>
                ${choice.label}
              </option>`,
          )}
        </select>`
      }
      case 'number':
        return html`<input
          id=${id}
          inputmode="decimal"
          autocomplete="off"
          aria-describedby=${described}
          aria-invalid=${invalid}
          .value=${value}
          @input=${change}
        />`
      case 'text':
      case 'json':
        return html`<textarea
          id=${id}
          class=${field.kind}
          rows=${Math.min(Math.max(value.split('\n').length, field.kind === 'json' ? 2 : 1), 12)}
          spellcheck="false"
          aria-describedby=${described}
          aria-invalid=${invalid}
          .value=${value}
          @input=${change}
        ></textarea>`
    }
  }

  #outcome(): TemplateResult {
    if (this.running) return html`<p class="quiet">Running…</p>`
    const { outcome } = this
    if (!outcome) return html``
    const said = {
      returned: 'Returned',
      failed: 'Failed',
      cancelled: 'Cancelled',
    }[outcome.state]
    return html`<h2 class=${outcome.state}>
        ${said} <span class="quiet">after ${timeOf(outcome.duration)}</span>
      </h2>
      ${outcome.text === '' ? nothing : html`<pre class="text" tabindex="0">${outcome.text}</pre>`}
      ${printed('stdout', outcome.stdout)} ${printed('stderr', outcome.stderr)}`
  }
}

function printed(name: string, text: string): TemplateResult | typeof nothing {
  if (text === '') return nothing
  return html`<h3>${name}</h3>
    <pre class=${name} tabindex="0">${text}</pre>`
}

function idOf(field: FormField): string {
  return `field-${field.name.replaceAll(/[^\w-]/g, '_')}`
}

function timeOf(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

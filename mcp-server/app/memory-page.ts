/** Version of the protocol between an app and its host (SEP-1865). */
const PROTOCOL = '2026-01-26'

const STYLE = `
:root { color-scheme: light dark; }
body { margin: 0; padding: 12px; font: 13px/1.45 var(--font-sans, system-ui, sans-serif);
  color: var(--color-text-primary, CanvasText); background: var(--color-background-primary, transparent); }
h1 { font-size: 14px; margin: 0 0 8px; }
section { border: 1px solid var(--color-border-primary, #8884); border-radius: 6px; padding: 8px; margin-bottom: 8px; }
header { display: flex; gap: 8px; align-items: baseline; margin-bottom: 4px; }
header span { opacity: .7; font-size: 12px; }
textarea { width: 100%; box-sizing: border-box; min-height: 4.5em; resize: vertical; font: inherit; color: inherit;
  background: var(--color-background-secondary, #8881); border: 1px solid transparent; border-radius: 4px; padding: 6px; }
textarea:focus-visible, button:focus-visible { outline: 2px solid var(--color-ring-primary, Highlight); }
button { font: inherit; padding: 2px 10px; }
[role=status] { min-height: 1.4em; font-size: 12px; }
pre { white-space: pre-wrap; }`

/** Runs in the host's frame. Text goes into the page as text only: a block may say anything. */
const SCRIPT = `
const waiting = new Map()
let last = 0
let shown = null
const send = (message) => parent.postMessage({ jsonrpc: '2.0', ...message }, '*')
const ask = (method, params) => new Promise((resolve, reject) => {
  waiting.set(++last, { resolve, reject })
  send({ id: last, method, params })
})
const element = (name, properties, ...children) => {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}
const textOf = (result) => (result.content ?? []).map((part) => part.text ?? '').join('\\n')
const withAgent = (more) => (shown.pinned ? more : { agent: shown.agent.id, ...more })
const main = document.querySelector('main')

function show(result) {
  const data = result.structuredContent
  if (!data || !Array.isArray(data.blocks)) {
    main.replaceChildren(element('pre', { textContent: textOf(result) }))
    return resized()
  }
  shown = data
  const title = element('h1', { textContent: 'Memory of ' + data.agent.name })
  const reload = element('button', { textContent: 'Reload', onclick: read })
  main.replaceChildren(element('header', {}, title, reload), ...data.blocks.map(section))
  resized()
}

function section(block) {
  const id = 'block-' + block.label
  const status = element('div', { role: 'status' })
  const field = element('textarea', { id, value: block.value, readOnly: block.read_only || !shown.editable })
  const save = element('button', { textContent: 'Save', disabled: true })
  let known = block.value
  field.oninput = () => { save.disabled = field.value === known }
  save.onclick = async () => {
    save.disabled = true
    status.textContent = 'Saving…'
    const args = withAgent({ label: block.label, mode: 'set', text: field.value, old_text: known })
    try {
      const result = await ask('tools/call', { name: 'memory_edit', arguments: args })
      if (result.isError) throw new Error(textOf(result))
      known = args.text
      status.textContent = 'Saved.'
    } catch (error) {
      status.textContent = error.message
    }
    save.disabled = field.value === known
    resized()
  }
  const label = element('label', { htmlFor: id }, element('strong', { textContent: block.label }))
  const size = element('span', { textContent: block.value.length + ' of ' + (block.limit ?? '?') + ' characters' })
  const head = element('header', {}, label, size)
  if (block.description) field.title = block.description
  return element('section', {}, head, field, ...(field.readOnly ? [] : [save]), status)
}

async function read() {
  try {
    show(await ask('tools/call', { name: 'memory_read', arguments: withAgent({}) }))
  } catch (error) {
    main.append(element('p', { textContent: error.message }))
  }
}

function resized() {
  const { width, height } = document.documentElement.getBoundingClientRect()
  send({ method: 'ui/notifications/size-changed', params: { width: Math.ceil(width), height: Math.ceil(height) } })
}

function look(context) {
  for (const [name, value] of Object.entries(context?.styles?.variables ?? {}))
    document.documentElement.style.setProperty(name, value)
  if (context?.theme) document.documentElement.style.colorScheme = context.theme
}

addEventListener('message', ({ source, data }) => {
  if (source !== parent || data?.jsonrpc !== '2.0') return
  const { id, method, params, result, error } = data
  if (method === undefined) {
    const one = waiting.get(id)
    waiting.delete(id)
    if (error) one?.reject(new Error(error.message))
    else one?.resolve(result)
  } else if (method === 'ui/notifications/tool-result') show(params)
  else if (method === 'ui/notifications/host-context-changed') look(params)
  else if (id !== undefined)
    send(method === 'ui/resource-teardown' || method === 'ping' ? { id, result: {} }
      : { id, error: { code: -32601, message: 'Method not found' } })
})
const { hostContext } = await ask('ui/initialize', {
  protocolVersion: '${PROTOCOL}', appInfo: { name: 'loci-memory', version: '1' }, appCapabilities: {},
})
look(hostContext)
send({ method: 'ui/notifications/initialized', params: {} })`

/** The memory viewer and editor as one page that loads nothing. */
export const MEMORY_PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Memory</title><style>${STYLE}</style></head>
<body><main><p>Reading…</p></main><script type="module">${SCRIPT}</script></body>
</html>`

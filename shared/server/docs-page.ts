/** The page at `/docs`: lists the operations of `/openapi.json`, by noun. Text is set as text, never as markup. */
export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Loci API</title>
<style>
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  h2 { margin: 2rem 0 .5rem; text-transform: capitalize }
  summary { cursor: pointer; padding: .25rem 0 }
  summary code { font-weight: 600 }
  pre { overflow: auto; max-height: 24rem; padding: .75rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 6px }
  .method { display: inline-block; width: 4.5rem }
  .says { opacity: .75 }
</style>
<h1>Loci API</h1>
<p id="intro">Loading <a href="/openapi.json">openapi.json</a> …</p>
<main></main>
<script>
  const make = (tag, text, className) => {
    const element = document.createElement(tag)
    if (text) element.textContent = text
    if (className) element.className = className
    return element
  }
  const show = (parent, title, value) => {
    if (value === undefined) return
    parent.append(make('h4', title), make('pre', JSON.stringify(value, null, 2)))
  }
  fetch('/openapi.json').then((answer) => answer.json()).then((api) => {
    const intro = document.getElementById('intro')
    intro.textContent = api.info.description + ' Version ' + api.info.version + '. The document: '
    const link = make('a', '/openapi.json')
    link.href = '/openapi.json'
    intro.append(link)
    const main = document.querySelector('main')
    let noun = ''
    for (const [path, methods] of Object.entries(api.paths))
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags[0] !== noun) main.append(make('h2', (noun = operation.tags[0])))
        const details = make('details')
        const summary = make('summary')
        summary.append(make('code', method.toUpperCase(), 'method'), make('code', path), make('span', ' ' + operation.summary, 'says'))
        details.append(summary)
        details.addEventListener('toggle', () => {
          if (details.childElementCount > 1) return
          show(details, 'Parameters', operation.parameters)
          show(details, 'Body', Object.values(operation.requestBody?.content ?? {})[0]?.schema)
          const errors = api.components.responses
          const answers = Object.entries(operation.responses).map(([status, answer]) =>
            [status, answer.$ref ? errors[answer.$ref.split('/').pop()].description : answer])
          show(details, 'Answers', Object.fromEntries(answers))
        })
        main.append(details)
      }
  }, (error) => { document.getElementById('intro').textContent = 'The document could not be loaded: ' + error })
</script>
</html>
`

/** Entry of the webview that runs a tool. */
import '@vscode-elements/elements/dist/vscode-button/index.js'
import { LociRunForm } from './run-form/form.ts'

customElements.define('loci-run-form', LociRunForm)

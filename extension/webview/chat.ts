/** Entry of the chat's webview. */
import '@vscode-elements/elements/dist/vscode-button/index.js'
import '@vscode-elements/elements/dist/vscode-progress-ring/index.js'
import { LociChat } from './chat-app.ts'

customElements.define('loci-chat', LociChat)

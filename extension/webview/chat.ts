/** Entry of the chat's webview. */
import '@vscode-elements/elements/dist/vscode-button/index.js'
import '@vscode-elements/elements/dist/vscode-progress-ring/index.js'
import { LociChat } from './chat-app.ts'
import { LociComposer } from './composer/composer.ts'

customElements.define('loci-composer', LociComposer)
customElements.define('loci-chat', LociChat)

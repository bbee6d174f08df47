import { css } from 'lit'

/** The look of rows beyond plain messages: actions, code, tool calls, memory, approvals. */
export const transcriptStyles = css`
  :host {
    --edge: var(--vscode-contrastBorder, var(--vscode-widget-border, var(--vscode-panel-border)));
    position: relative;
  }
  .said {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  header {
    position: absolute;
    top: 4px;
    right: 16px;
    z-index: 1;
    display: flex;
    gap: 4px;
  }
  .list {
    overflow-anchor: none;
  }
  .list:focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: -1px;
  }
  .rows {
    display: block;
  }
  .row {
    padding-bottom: 10px;
  }
  article:focus {
    outline: none;
  }
  article:focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: 3px;
    border-radius: 4px;
  }

  .user {
    flex-direction: column;
    align-items: flex-end;
  }
  .attached {
    margin-top: 4px;
    color: var(--quiet);
    font-size: 0.92em;
    white-space: normal;
  }
  .attached pre {
    max-height: 240px;
  }
  .bubble img {
    display: block;
    max-width: 100%;
    max-height: 240px;
    margin-bottom: 6px;
    border-radius: 4px;
  }
  .actions {
    display: flex;
    gap: 2px;
    height: 24px;
    margin: 0 0 -6px -5px;
    opacity: 0;
  }
  .user .actions {
    margin: 0 -3px -6px 0;
  }
  .row:hover .actions,
  .row:focus-within .actions {
    opacity: 1;
  }
  .action {
    display: grid;
    place-items: center;
    width: 24px;
    height: 24px;
    padding: 0;
    border: 0;
    border-radius: 5px;
    background: none;
    color: var(--vscode-icon-foreground, var(--quiet));
    cursor: pointer;
  }
  header .action {
    background: var(--vscode-editorWidget-background, var(--vscode-editor-background));
  }
  .action:hover {
    background: var(--vscode-toolbar-hoverBackground);
  }
  .action .icon {
    vertical-align: 0;
  }
  .link {
    padding: 0;
    border: 0;
    background: none;
    color: var(--vscode-textLink-foreground);
    font: inherit;
    cursor: pointer;
  }
  .link:hover {
    text-decoration: underline;
  }

  .code {
    margin: 8px 0;
    overflow: hidden;
    border: 1px solid var(--edge);
    border-radius: 6px;
  }
  .code-bar {
    display: flex;
    gap: 10px;
    padding: 2px 10px;
    background: var(--vscode-editorWidget-background, transparent);
    color: var(--quiet);
    font-size: 0.85em;
  }
  .code-bar span {
    flex: 1;
  }
  .code-bar button {
    padding: 2px 0;
    border: 0;
    background: none;
    color: inherit;
    font: inherit;
    cursor: pointer;
  }
  .code-bar button:hover {
    color: var(--vscode-foreground);
  }
  .code pre {
    max-height: 480px;
    margin: 0;
    border: 0;
    border-radius: 0;
    white-space: pre;
    overflow-wrap: normal;
  }
  .markdown a.image::before {
    content: 'Image, not loaded: ';
    color: var(--quiet);
  }
  .markdown p {
    margin: 0 0 8px;
  }

  .call {
    min-width: 0;
  }
  .call.asks {
    padding: 1px;
    border: 1px solid var(--vscode-inputValidation-warningBorder, var(--vscode-charts-yellow));
    border-radius: 7px;
  }
  .call.asks .tool {
    border-color: transparent;
  }
  .tool .time,
  .tool .state {
    color: var(--quiet);
    font-size: 0.85em;
    white-space: nowrap;
  }
  .tool .link {
    margin: 6px 0 4px;
  }
  .asking {
    padding: 4px 12px 10px;
  }
  .asking p,
  .said-reason {
    margin: 4px 0 8px;
  }
  .call .said-reason {
    margin: 4px 10px;
    color: var(--quiet);
  }
  .reason {
    box-sizing: border-box;
    width: 100%;
    margin-bottom: 8px;
    padding: 4px 8px;
    border: 1px solid var(--vscode-input-border, var(--edge));
    border-radius: 4px;
    outline: none;
    background: var(--vscode-input-background);
    color: var(--vscode-input-foreground);
    font: inherit;
  }
  .reason:focus {
    border-color: var(--vscode-focusBorder);
  }
  .buttons {
    flex-wrap: wrap;
  }

  .memory {
    margin: 4px 0 0;
    overflow: hidden;
    border: 1px solid var(--edge);
    border-radius: 6px;
  }
  .memory figcaption {
    display: flex;
    gap: 10px;
    padding: 2px 10px;
    background: var(--vscode-editorWidget-background, transparent);
    font-size: 0.92em;
  }
  .memory .count {
    flex: 1;
  }
  /* Red on a widget's grey is too faint in the dark theme; the lines below are coloured. */
  .memory :is(ins, del) {
    text-decoration: none;
  }
  .memory .state {
    color: var(--quiet);
  }
  .memory pre {
    max-height: 220px;
    margin: 0;
    padding: 4px 0;
    border: 0;
    border-radius: 0;
  }
  .line {
    display: block;
    padding: 0 10px 0 26px;
    text-indent: -16px;
  }
  .line.gap {
    color: var(--quiet);
  }
  .line.added {
    background: var(
      --vscode-diffEditor-insertedLineBackground,
      var(--vscode-diffEditor-insertedTextBackground)
    );
  }
  .line.removed {
    background: var(
      --vscode-diffEditor-removedLineBackground,
      var(--vscode-diffEditor-removedTextBackground)
    );
  }
  .line mark {
    color: inherit;
    background: var(--vscode-diffEditor-insertedTextBackground);
  }
  .line.removed mark {
    background: var(--vscode-diffEditor-removedTextBackground);
  }
  .sign {
    display: inline-block;
    width: 16px;
    text-indent: 0;
    user-select: none;
  }

  .edit {
    padding: 8px 10px;
    border: 1px solid var(--vscode-focusBorder);
    border-radius: 8px;
  }
  .edit textarea {
    box-sizing: border-box;
    width: 100%;
    max-height: 40vh;
    padding: 4px;
    border: 0;
    outline: none;
    background: var(--vscode-input-background);
    color: var(--vscode-input-foreground);
    font: inherit;
    resize: none;
    field-sizing: content;
  }
  .edit p,
  .hold,
  .note,
  .set-aside {
    margin: 4px 0;
    color: var(--quiet);
    font-size: 0.92em;
  }
  .note,
  .set-aside {
    padding-left: 10px;
    border-left: 2px solid var(--edge);
  }
  .note summary::before,
  .set-aside summary::before {
    content: '›';
    transition: transform 0.1s;
  }
  .note[open] summary::before,
  .set-aside[open] summary::before {
    transform: rotate(90deg);
  }
  .set-aside .inner {
    margin-top: 8px;
    opacity: 0.75;
  }
  .set-aside vscode-button {
    margin-top: 6px;
  }

  .hljs-comment,
  .hljs-quote {
    color: #7ca668;
  }
  .hljs-keyword,
  .hljs-literal,
  .hljs-built_in,
  .hljs-name {
    color: #569cd6;
  }
  .hljs-string,
  .hljs-regexp,
  .hljs-addition {
    color: #ce9178;
  }
  .hljs-number {
    color: #b5cea8;
  }
  .hljs-title,
  .hljs-section {
    color: #dcdcaa;
  }
  .hljs-type,
  .hljs-title.class_ {
    color: #4ec9b0;
  }
  .hljs-attr,
  .hljs-attribute,
  .hljs-variable,
  .hljs-template-variable,
  .hljs-params,
  .hljs-property {
    color: #9cdcfe;
  }
  .hljs-meta,
  .hljs-deletion {
    color: #c586c0;
  }
  :host-context(:is(.vscode-light, .vscode-high-contrast-light)) .hljs-comment,
  :host-context(:is(.vscode-light, .vscode-high-contrast-light)) .hljs-quote {
    color: #008000;
  }
  :host-context(:is(.vscode-light, .vscode-high-contrast-light))
    :is(.hljs-keyword, .hljs-literal, .hljs-built_in, .hljs-name) {
    color: #0000ff;
  }
  :host-context(:is(.vscode-light, .vscode-high-contrast-light))
    :is(.hljs-string, .hljs-regexp, .hljs-addition) {
    color: #a31515;
  }
  :host-context(:is(.vscode-light, .vscode-high-contrast-light)) .hljs-number {
    color: #087a52;
  }
  :host-context(:is(.vscode-light, .vscode-high-contrast-light)) :is(.hljs-title, .hljs-section) {
    color: #795e26;
  }
  :host-context(:is(.vscode-light, .vscode-high-contrast-light)) :is(.hljs-type, .hljs-title.class_) {
    color: #1b6f87;
  }
  :host-context(:is(.vscode-light, .vscode-high-contrast-light))
    :is(.hljs-attr, .hljs-attribute, .hljs-variable, .hljs-template-variable, .hljs-params, .hljs-property) {
    color: #001080;
  }
  :host-context(:is(.vscode-light, .vscode-high-contrast-light)) :is(.hljs-meta, .hljs-deletion) {
    color: #af00db;
  }
`

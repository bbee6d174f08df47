import { css } from 'lit'

/** The chat's look, from the theme's own colours; high contrast comes with `--vscode-contrastBorder`. */
export const chatStyles = css`
  :host {
    --line: var(
      --vscode-contrastBorder,
      var(--vscode-chat-requestBorder, var(--vscode-widget-border, transparent))
    );
    --quiet: var(--vscode-descriptionForeground);
    display: flex;
    flex-direction: column;
    height: 100vh;
    color: var(--vscode-foreground);
    font: var(--vscode-font-size, 13px) / 1.5 var(--vscode-font-family, sans-serif);
  }
  .icon {
    flex: none;
    vertical-align: -3px;
  }
  .list {
    flex: 1;
    overflow-y: auto;
    outline: none;
  }
  .rows,
  .earlier,
  footer,
  .gone {
    box-sizing: border-box;
    width: 100%;
    max-width: 780px;
    margin: 0 auto;
    padding: 0 20px;
  }
  .rows {
    display: flex;
    flex-direction: column;
    gap: 10px;
    padding-top: 20px;
    padding-bottom: 16px;
  }
  .earlier {
    padding-top: 12px;
    text-align: center;
  }
  :focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: 1px;
  }

  .user {
    display: flex;
    justify-content: flex-end;
    margin-top: 10px;
  }
  .bubble {
    max-width: 85%;
    padding: 7px 12px;
    border: 1px solid var(--line);
    border-radius: 10px 10px 3px 10px;
    background: var(--vscode-chat-requestBubbleBackground, var(--vscode-list-inactiveSelectionBackground));
    overflow-wrap: anywhere;
  }
  .words {
    white-space: pre-wrap;
  }

  .markdown {
    overflow-wrap: anywhere;
  }
  .markdown > :first-child {
    margin-top: 0;
  }
  .markdown > :last-child {
    margin-bottom: 0;
  }
  .markdown h1,
  .markdown h2,
  .markdown h3 {
    margin: 1em 0 0.4em;
    font-size: 1.1em;
  }
  .markdown a {
    color: var(--vscode-textLink-foreground);
  }
  .markdown blockquote {
    margin: 8px 0;
    padding-left: 12px;
    border-left: 3px solid var(--vscode-textBlockQuote-border);
    color: var(--quiet);
  }
  .markdown table {
    border-collapse: collapse;
  }
  .markdown th,
  .markdown td {
    padding: 3px 8px;
    border: 1px solid var(--vscode-contrastBorder, var(--vscode-widget-border, var(--vscode-panel-border)));
  }
  pre,
  code {
    font-family: var(--vscode-editor-font-family, monospace);
    font-size: 0.92em;
  }
  :not(pre) > code {
    padding: 1px 4px;
    border-radius: 3px;
    background: var(--vscode-textPreformat-background);
    color: var(--vscode-textPreformat-foreground);
  }
  pre code {
    font-size: inherit;
  }
  pre {
    max-height: 320px;
    margin: 6px 0;
    padding: 8px 10px;
    overflow: auto;
    border: 1px solid var(--line);
    border-radius: 4px;
    background: var(--vscode-textCodeBlock-background);
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }

  .aside,
  .tool {
    margin: 0;
    color: var(--quiet);
  }
  summary {
    display: flex;
    align-items: center;
    gap: 7px;
    width: fit-content;
    max-width: 100%;
    border-radius: 4px;
    cursor: pointer;
    list-style: none;
  }
  summary:hover {
    color: var(--vscode-foreground);
  }
  .aside .markdown {
    margin: 4px 0 4px 7px;
    padding-left: 15px;
    border-left: 1px solid var(--vscode-textSeparator-foreground, var(--quiet));
  }
  .tool {
    box-sizing: border-box;
    max-width: 100%;
    padding: 4px 10px;
    border: 1px solid var(--vscode-contrastBorder, var(--vscode-widget-border, var(--vscode-panel-border)));
    border-radius: 6px;
  }
  .tool summary {
    width: auto;
  }
  .tool .name {
    color: var(--vscode-foreground);
    font-family: var(--vscode-editor-font-family, monospace);
    font-size: 0.92em;
  }
  .tool .args {
    flex: 1;
    min-width: 0;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .tool .mark {
    color: var(--vscode-testing-iconPassed, var(--vscode-charts-green));
  }
  .tool.error .mark {
    color: var(--vscode-errorForeground);
  }
  .tool h3 {
    margin: 8px 0 0;
    font-size: 0.85em;
    font-weight: 600;
  }
  .ring {
    flex: none;
    width: 14px;
    height: 14px;
  }

  .waiting {
    display: flex;
    gap: 5px;
    margin: 4px 0;
    padding: 4px 0;
  }
  .waiting i {
    width: 6px;
    height: 6px;
    border-radius: 50%;
    background: var(--quiet);
    animation: breathe 1.2s infinite ease-in-out;
  }
  .waiting i:nth-child(2) {
    animation-delay: 0.15s;
  }
  .waiting i:nth-child(3) {
    animation-delay: 0.3s;
  }
  @keyframes breathe {
    0%,
    70%,
    100% {
      opacity: 0.25;
    }
    35% {
      opacity: 1;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    .waiting i {
      animation: none;
    }
  }

  .failure {
    padding: 10px 12px;
    border: 1px solid var(--vscode-contrastBorder, var(--vscode-widget-border, var(--vscode-panel-border)));
    border-left: 3px solid var(--vscode-errorForeground);
    border-radius: 6px;
  }
  .failure p {
    display: flex;
    gap: 7px;
    margin: 0 0 8px;
    overflow-wrap: anywhere;
  }
  .failure .icon {
    margin-top: 2px;
    color: var(--vscode-errorForeground);
  }
  .buttons {
    display: flex;
    gap: 8px;
  }
  .gone {
    margin-bottom: 8px;
    overflow-wrap: anywhere;
  }

  .empty {
    display: flex;
    flex-direction: column;
    align-items: center;
    max-width: 440px;
    margin: 16vh auto 0;
    padding: 0 20px;
    text-align: center;
  }
  .empty h1 {
    margin: 10px 0 4px;
    font-size: 1.35em;
    font-weight: 600;
  }
  .empty p {
    margin: 0 0 16px;
    color: var(--quiet);
    overflow-wrap: anywhere;
  }
  .emblem .icon {
    width: 36px;
    height: 36px;
    color: var(--quiet);
  }
  .empty ul {
    display: flex;
    flex-direction: column;
    gap: 8px;
    width: 100%;
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .suggestion {
    width: 100%;
    padding: 7px 12px;
    border: 1px solid var(--vscode-contrastBorder, var(--vscode-widget-border, var(--vscode-panel-border)));
    border-radius: 6px;
    background: none;
    color: inherit;
    font: inherit;
    text-align: left;
    cursor: pointer;
  }
  .suggestion:hover {
    background: var(--vscode-list-hoverBackground);
  }

  footer {
    padding-bottom: 16px;
  }
`

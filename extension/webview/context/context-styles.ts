import { css } from 'lit'

/** The panel's look, from the theme's own colours; high contrast comes with `--vscode-contrastBorder`. */
export const contextStyles = css`
  :host {
    --line: var(
      --vscode-contrastBorder,
      var(--vscode-widget-border, var(--vscode-panel-border, transparent))
    );
    --quiet: var(--vscode-descriptionForeground);
    display: block;
    color: var(--vscode-foreground);
    font: var(--vscode-font-size, 13px) / 1.5 var(--vscode-font-family, sans-serif);
  }
  main {
    box-sizing: border-box;
    max-width: 980px;
    margin: 0 auto;
    padding: 16px 24px 32px;
  }
  header,
  .row,
  .buttons {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 8px 12px;
  }
  h1 {
    margin: 0;
    font-size: 1.4em;
    font-weight: 600;
    overflow-wrap: anywhere;
  }
  .space {
    flex: 1;
  }
  .quiet,
  .about,
  .detail,
  .tokens {
    color: var(--quiet);
  }
  .about {
    margin: 6px 0 8px;
  }
  p {
    margin: 6px 0;
    overflow-wrap: anywhere;
  }
  code,
  pre {
    font-family: var(--vscode-editor-font-family, monospace);
    font-size: 0.92em;
  }
  .failed {
    color: var(--vscode-errorForeground);
  }
  .empty {
    padding-top: 16vh;
    text-align: center;
  }
  .empty .buttons {
    justify-content: center;
    margin-top: 14px;
  }
  vscode-single-select {
    width: auto;
    min-width: 190px;
    max-width: 320px;
  }
  :focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: 1px;
  }

  .sizes {
    margin: 14px 0 6px;
  }
  .sizes strong {
    font-size: 1.4em;
    font-weight: 600;
  }
  .bar {
    display: block;
    box-sizing: border-box;
    width: 100%;
    height: 22px;
    border: 1px solid var(--line);
    border-radius: 5px;
    background: var(--vscode-editorWidget-background, var(--vscode-input-background));
    overflow: hidden;
  }
  .bar .fill {
    stroke: var(--vscode-editor-background);
    stroke-width: 1;
  }
  .bar .mark {
    fill: var(--vscode-foreground);
    opacity: 0.7;
  }
  .system {
    --part: var(--vscode-charts-blue);
  }
  .blocks {
    --part: var(--vscode-charts-green);
  }
  .rules {
    --part: var(--vscode-charts-red);
  }
  .directories {
    --part: var(--vscode-terminal-ansiMagenta, var(--vscode-charts-lines));
  }
  .metadata {
    --part: var(--vscode-descriptionForeground);
  }
  .tools {
    --part: var(--vscode-charts-yellow);
  }
  .summary {
    --part: var(--vscode-terminal-ansiCyan, var(--vscode-charts-lines));
  }
  .messages {
    --part: var(--vscode-charts-purple);
  }
  .fill {
    fill: var(--part);
  }
  .swatch {
    display: inline-block;
    flex: none;
    width: 10px;
    height: 10px;
    border-radius: 2px;
    background: var(--part);
  }
  .legend {
    display: flex;
    flex-wrap: wrap;
    gap: 2px 6px;
    margin: 8px 0 0 -6px;
    padding: 0;
    list-style: none;
  }
  button {
    border: 0;
    background: none;
    color: inherit;
    font: inherit;
    cursor: pointer;
  }
  .plain {
    display: flex;
    align-items: center;
    gap: 6px;
    padding: 2px 6px;
    border-radius: 4px;
  }
  .plain:hover,
  summary:hover {
    background: var(--vscode-list-hoverBackground);
  }
  .link {
    padding: 2px 0;
    color: var(--vscode-textLink-foreground);
  }
  .link:hover {
    color: var(--vscode-textLink-activeForeground);
    text-decoration: underline;
  }

  .compact {
    margin: 16px 0 10px;
  }
  vscode-progress-bar {
    margin-top: 8px;
  }
  vscode-tab-panel {
    padding-top: 8px;
  }

  details {
    border-radius: 4px;
  }
  summary {
    display: flex;
    align-items: baseline;
    gap: 8px;
    padding: 4px 8px 4px 4px;
    border-radius: 4px;
    cursor: pointer;
    list-style: none;
  }
  summary::before {
    flex: none;
    align-self: center;
    width: 6px;
    height: 6px;
    margin: 0 4px;
    border: solid currentColor;
    border-width: 0 1px 1px 0;
    transform: rotate(-45deg);
    content: '';
  }
  details[open] > summary::before {
    transform: rotate(45deg);
  }
  .part > summary .name,
  .step strong {
    font-weight: 600;
  }
  .swatch + .name {
    margin-left: 0;
  }
  summary .swatch {
    align-self: center;
  }
  summary .name {
    flex: none;
    max-width: 45%;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .detail {
    flex: 1;
    min-width: 0;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .tokens {
    flex: none;
    font-variant-numeric: tabular-nums;
  }
  .part > :not(summary) {
    margin-left: 22px;
  }
  .item > :not(summary) {
    margin-left: 22px;
  }
  .item {
    content-visibility: auto;
    contain-intrinsic-height: auto 28px;
  }
  .text pre {
    max-height: 420px;
    margin: 4px 0 2px;
    padding: 8px 10px;
    overflow: auto;
    border: 1px solid var(--line);
    border-radius: 4px;
    background: var(--vscode-textCodeBlock-background);
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  .text {
    margin-bottom: 8px;
  }

  .facts {
    display: grid;
    grid-template-columns: max-content 1fr;
    gap: 2px 14px;
    margin: 6px 0;
  }
  .facts dt {
    grid-column: 1;
    color: var(--quiet);
  }
  .facts dd {
    grid-column: 2;
    margin: 0;
    overflow-wrap: anywhere;
  }

  .state {
    flex: none;
    min-width: 58px;
    padding: 0 6px;
    border: 1px solid var(--line);
    border-radius: 9px;
    font-size: 0.85em;
    text-align: center;
  }
  .state.completed {
    color: var(--vscode-testing-iconPassed, var(--vscode-charts-green));
  }
  .state.failed {
    color: var(--vscode-errorForeground);
  }
  .state.running,
  .state.created {
    color: var(--vscode-charts-blue);
  }
  .steps {
    padding: 0;
    list-style: none;
  }
  .steps li {
    margin-bottom: 10px;
  }
  .step {
    margin: 4px 0;
  }
  .timeline {
    display: block;
    width: 100%;
    height: 6px;
    margin: 3px 0 5px;
    border-radius: 3px;
    background: var(--vscode-editorWidget-background, var(--vscode-input-background));
    outline: 1px solid var(--vscode-contrastBorder, transparent);
    overflow: hidden;
  }
  .timeline rect {
    min-width: 2px;
  }
  .asked {
    fill: var(--vscode-charts-blue);
  }
  .worked {
    fill: var(--vscode-charts-yellow);
  }
`

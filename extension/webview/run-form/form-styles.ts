import { css } from 'lit'

/** The look of the form that runs a tool, from the theme's own colours. */
export const formStyles = css`
  :host {
    --line: var(
      --vscode-contrastBorder,
      var(--vscode-input-border, var(--vscode-widget-border, transparent))
    );
    --quiet: var(--vscode-descriptionForeground);
    display: block;
    color: var(--vscode-foreground);
    font: var(--vscode-font-size, 13px) / 1.5 var(--vscode-font-family, sans-serif);
  }
  main {
    box-sizing: border-box;
    max-width: 720px;
    margin: 0 auto;
    padding: 16px 20px 32px;
  }
  h1 {
    margin: 0;
    font-family: var(--vscode-editor-font-family, monospace);
    font-size: 1.3em;
    font-weight: 600;
    overflow-wrap: anywhere;
  }
  h2 {
    margin: 20px 0 6px;
    font-size: 1.05em;
    font-weight: 600;
  }
  h2.failed {
    color: var(--vscode-errorForeground);
  }
  h2 .quiet {
    font-weight: 400;
  }
  h3 {
    margin: 12px 0 4px;
    color: var(--quiet);
    font-size: 0.92em;
    font-weight: 400;
  }
  p {
    margin: 2px 0 0;
  }
  .quiet {
    color: var(--quiet);
    overflow-wrap: anywhere;
  }
  .problem {
    color: var(--vscode-errorForeground);
  }
  .field {
    margin-top: 14px;
  }
  label {
    display: block;
    margin-bottom: 3px;
    font-weight: 600;
  }
  input,
  select,
  textarea {
    box-sizing: border-box;
    width: 100%;
    padding: 4px 6px;
    border: 1px solid var(--line);
    border-radius: 2px;
    background: var(--vscode-input-background);
    color: var(--vscode-input-foreground);
    font: inherit;
  }
  select {
    border-color: var(--vscode-contrastBorder, var(--vscode-dropdown-border, transparent));
    background: var(--vscode-dropdown-background);
    color: var(--vscode-dropdown-foreground);
  }
  textarea {
    display: block;
    resize: vertical;
  }
  textarea.json {
    font-family: var(--vscode-editor-font-family, monospace);
  }
  [aria-invalid='true'] {
    border-color: var(--vscode-inputValidation-errorBorder, var(--vscode-errorForeground));
  }
  :focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: -1px;
  }
  .actions {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
    align-items: center;
    margin-top: 18px;
  }
  pre {
    max-height: 50vh;
    margin: 0;
    padding: 8px 10px;
    overflow: auto;
    border: 1px solid var(--line);
    border-radius: 3px;
    background: var(--vscode-textCodeBlock-background);
    font-family: var(--vscode-editor-font-family, monospace);
    font-size: var(--vscode-editor-font-size, 12px);
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
`

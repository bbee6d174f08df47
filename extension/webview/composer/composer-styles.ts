import { css } from 'lit'

/** The composer's look, from the theme's own colours. */
export const composerStyles = css`
  :host {
    --quiet: var(--vscode-descriptionForeground);
    display: block;
  }
  .icon {
    flex: none;
    vertical-align: -3px;
  }
  :focus-visible {
    outline: 1px solid var(--vscode-focusBorder);
    outline-offset: 1px;
  }
  .notice {
    margin: 0 0 8px;
    overflow-wrap: anywhere;
  }
  .notice .icon {
    color: var(--vscode-errorForeground);
  }
  .composer {
    border: 1px solid var(--vscode-input-border, var(--vscode-widget-border, var(--vscode-panel-border)));
    border-radius: 8px;
    background: var(--vscode-input-background);
  }
  .composer:focus-within {
    border-color: var(--vscode-focusBorder);
  }
  textarea {
    display: block;
    box-sizing: border-box;
    width: 100%;
    max-height: 40vh;
    padding: 9px 12px 2px;
    border: 0;
    outline: none !important;
    background: none;
    color: var(--vscode-input-foreground);
    font: inherit;
    resize: none;
    field-sizing: content;
  }
  textarea::placeholder {
    color: var(--vscode-input-placeholderForeground);
  }
  .bar {
    display: flex;
    align-items: center;
    gap: 8px;
    padding: 2px 6px 6px 12px;
  }
  .model {
    flex: 1;
    min-width: 0;
    overflow: hidden;
    color: var(--quiet);
    font-size: 0.85em;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .round {
    display: grid;
    place-items: center;
    width: 26px;
    height: 26px;
    padding: 0;
    border: 1px solid var(--vscode-contrastBorder, transparent);
    border-radius: 6px;
    background: var(--vscode-button-background);
    color: var(--vscode-button-foreground);
    cursor: pointer;
  }
  .round:hover {
    background: var(--vscode-button-hoverBackground);
  }
  .round.stop {
    border-color: var(--vscode-contrastBorder, var(--quiet));
    background: none;
    color: var(--vscode-foreground);
  }
  .round:disabled {
    background: none;
    color: var(--vscode-disabledForeground);
    cursor: default;
  }
`

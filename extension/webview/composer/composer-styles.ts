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
    gap: 2px;
    padding: 2px 6px 6px 7px;
  }
  .space {
    flex: 1;
  }
  .pick {
    display: flex;
    align-items: center;
    gap: 4px;
    min-width: 0;
    max-width: 45%;
    padding: 2px 5px;
    border: 0;
    border-radius: 4px;
    background: none;
    color: var(--quiet);
    font: inherit;
    font-size: 0.85em;
    cursor: pointer;
  }
  .pick span {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .pick:hover:not(:disabled) {
    background: var(--vscode-toolbar-hoverBackground, var(--vscode-list-hoverBackground));
    color: var(--vscode-foreground);
    outline: 1px dashed var(--vscode-contrastActiveBorder, transparent);
  }
  .pick:disabled {
    color: var(--vscode-disabledForeground);
    cursor: default;
  }
  .add {
    flex: none;
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
  .dragging {
    outline: 2px dashed var(--vscode-focusBorder);
  }
  .said {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
  }

  .attachments {
    display: flex;
    flex-wrap: wrap;
    gap: 5px;
    margin: 0;
    padding: 7px 8px 0;
    list-style: none;
  }
  .chip {
    display: flex;
    align-items: center;
    gap: 4px;
    max-width: 100%;
    padding: 1px 2px 1px 5px;
    border: 1px solid var(--vscode-contrastBorder, var(--vscode-widget-border, var(--vscode-panel-border)));
    border-radius: 4px;
    font-size: 0.9em;
  }
  .chip span {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .chip img {
    width: 22px;
    height: 22px;
    border-radius: 3px;
    object-fit: cover;
  }
  .chip button {
    display: grid;
    padding: 1px;
    border: 0;
    border-radius: 3px;
    background: none;
    color: inherit;
    cursor: pointer;
  }
  .chip button:hover {
    background: var(--vscode-toolbar-hoverBackground);
  }

  .composer {
    position: relative;
  }
  .mentions {
    position: absolute;
    right: 0;
    bottom: calc(100% + 4px);
    left: 0;
    z-index: 2;
    max-height: 240px;
    margin: 0;
    padding: 4px;
    overflow-y: auto;
    border: 1px solid
      var(--vscode-contrastBorder, var(--vscode-editorSuggestWidget-border, var(--vscode-widget-border)));
    border-radius: 6px;
    background: var(--vscode-editorSuggestWidget-background, var(--vscode-editorWidget-background));
    color: var(--vscode-editorSuggestWidget-foreground, var(--vscode-foreground));
    box-shadow: 0 2px 8px var(--vscode-widget-shadow, transparent);
    list-style: none;
  }
  .mentions li {
    display: flex;
    align-items: center;
    gap: 6px;
    padding: 2px 6px;
    border-radius: 3px;
    cursor: pointer;
  }
  .mentions li:hover {
    background: var(--vscode-list-hoverBackground);
  }
  .mentions li[aria-selected='true'] {
    background: var(
      --vscode-editorSuggestWidget-selectedBackground,
      var(--vscode-list-activeSelectionBackground)
    );
    color: var(--vscode-editorSuggestWidget-selectedForeground, var(--vscode-list-activeSelectionForeground));
    outline: 1px solid var(--vscode-contrastActiveBorder, transparent);
  }
  .mentions .folder {
    overflow: hidden;
    opacity: 0.75;
    font-size: 0.9em;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .none {
    margin: 2px 6px;
    color: var(--quiet);
  }
`

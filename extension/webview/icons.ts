import { html, type TemplateResult } from 'lit'

/** Line icons of 16 × 16 in the colour of the text around them; hidden from assistive technology. */
const icon = (paths: TemplateResult) => paths

const svg = (d: string) =>
  icon(
    html`<svg
      class="icon"
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d=${d}></path>
    </svg>`,
  )

export const icons = {
  send: svg('M8 13V3M3.8 7.2 8 3l4.2 4.2'),
  stop: svg('M4.5 4.5h7v7h-7z'),
  tool: svg(
    'M9.7 2.6a3.3 3.3 0 0 0-3 4.6L2.6 11.3l2.1 2.1 4.1-4.1a3.3 3.3 0 0 0 4.6-3.7l-2 2-2-.6-.6-2 2-2a3.3 3.3 0 0 0-1.1-.4z',
  ),
  done: svg('M3.5 8.5 6.5 11.5 12.5 4.8'),
  failed: svg('M8 2.2 14.4 13H1.6zM8 6.5v3M8 11.2v.1'),
  thought: svg(
    'M6.2 12.2h3.6M6.8 14h2.4M8 2a4 4 0 0 0-2.4 7.2c.4.4.6.8.6 1.3h3.6c0-.5.2-.9.6-1.3A4 4 0 0 0 8 2z',
  ),
  copy: svg('M5.5 5.5h7v8h-7zM3.5 10.5v-8h7'),
  edit: svg('M3 13l.6-2.8L10.8 3l2.2 2.2-7.2 7.2zM9.4 4.4l2.2 2.2'),
  again: svg('M12.8 8a4.8 4.8 0 1 1-1.5-3.5M12.8 2.5v2.7h-2.7'),
  fork: svg(
    'M4.5 4.5v7M11.5 4.5v1.2c0 1.6-1.2 2.3-3 2.3h-1c-1.8 0-3 .8-3 2.2M4.5 4.4v.1M11.5 4.4v.1M4.5 11.6v.1M4.5 3a1.4 1.4 0 1 1 0 2.8 1.4 1.4 0 0 1 0-2.8zM11.5 3a1.4 1.4 0 1 1 0 2.8 1.4 1.4 0 0 1 0-2.8zM4.5 10.2a1.4 1.4 0 1 1 0 2.8 1.4 1.4 0 0 1 0-2.8z',
  ),
  attach: svg(
    'M10.8 5.2 6.3 9.7a1.1 1.1 0 0 0 1.6 1.6l5-5a2.4 2.4 0 0 0-3.4-3.4l-5.2 5.2a3.8 3.8 0 0 0 5.400 5.400l3.800-3.800',
  ),
  file: svg('M4 2.500h5l3 3v8H4zM9 2.500v3h3'),
  close: svg('M4.500 4.500l7 7M11.500 4.500l-7 7'),
  conversation: svg('M2.500 3.500h11v7.500H8l-3 2.500v-2.500H2.500z'),
  save: svg('M8 2.5v7M5 6.8 8 9.8l3-3M3 12.8h10'),
  agent: svg('M3 6.5h10v6H3zM8 6.5V4M8 2.6v.1M6 9v1M10 9v1M1.4 8.5v2M14.6 8.5v2'),
}

/** A place on the map, as on the extension's icon. Small: it goes along with every answer of the newest protocol. */
const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#3b82f6" stroke-width="2"><path d="M12 20c5-5 7-8 7-11A7 7 0 005 9c0 3 2 6 7 11z"/><circle cx="12" cy="9" r="2"/></svg>'

export const ICONS = [
  { src: `data:image/svg+xml,${encodeURIComponent(SVG)}`, mimeType: 'image/svg+xml', sizes: ['any'] },
]

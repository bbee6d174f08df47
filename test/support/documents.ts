/** Small documents as other programs write them, made by hand. */
import { crc32, deflateRawSync } from 'node:zlib'

/** A ZIP archive of these files, deflated. */
export function aZip(files: Record<string, Buffer>): Buffer {
  const parts: Buffer[] = []
  const entries: Buffer[] = []
  let at = 0
  for (const [name, content] of Object.entries(files)) {
    const data = deflateRawSync(content)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(8, 4)
    fields.writeUInt32LE(crc32(content), 10)
    fields.writeUInt32LE(data.length, 14)
    fields.writeUInt32LE(content.length, 18)
    fields.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), fields, Buffer.from(name), data])
    const entry = Buffer.alloc(46)
    entry.write('PK\x01\x02', 0, 'latin1')
    entry.writeUInt16LE(20, 4)
    fields.copy(entry, 6)
    entry.writeUInt32LE(at, 42)
    entries.push(entry, Buffer.from(name))
    parts.push(local)
    at += local.length
  }
  const directory = Buffer.concat(entries)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 0, 'latin1')
  end.writeUInt16LE(Object.keys(files).length, 8)
  end.writeUInt16LE(Object.keys(files).length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...parts, directory, end])
}

const XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006'
const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006'

function office(main: string, parts: Record<string, string>): Buffer {
  const rels = `${XML}<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="r1" Type="${OFFICE}/relationships/officeDocument" Target="${main}"/></Relationships>`
  const types = `${XML}<Types xmlns="${PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/></Types>`
  const all = { '[Content_Types].xml': types, '_rels/.rels': rels, ...parts }
  return aZip(Object.fromEntries(Object.entries(all).map(([name, text]) => [name, Buffer.from(text)])))
}

/** A Word document of one paragraph. */
export function aDocx(text: string): Buffer {
  const w = 'http://schemas.openxmlformats.org/wordprocessingml/2006/main'
  return office('word/document.xml', {
    'word/document.xml': `${XML}<w:document xmlns:w="${w}"><w:body><w:p><w:r><w:t>${text}</w:t></w:r></w:p></w:body></w:document>`,
  })
}

/** A workbook of one sheet, `Sheet1`. */
export function anXlsx(rows: readonly (readonly (string | number)[])[]): Buffer {
  const s = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
  const cell = (value: string | number, place: string) =>
    typeof value === 'number'
      ? `<c r="${place}"><v>${value}</v></c>`
      : `<c r="${place}" t="inlineStr"><is><t>${value}</t></is></c>`
  const sheet = rows
    .map((row, y) => {
      const cells = row.map((value, x) => cell(value, `${String.fromCharCode(65 + x)}${y + 1}`))
      return `<row r="${y + 1}">${cells.join('')}</row>`
    })
    .join('')
  return office('xl/workbook.xml', {
    'xl/workbook.xml': `${XML}<workbook xmlns="${s}" xmlns:r="${OFFICE}/relationships"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': `${XML}<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="rId1" Type="${OFFICE}/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
    'xl/worksheets/sheet1.xml': `${XML}<worksheet xmlns="${s}"><sheetData>${sheet}</sheetData></worksheet>`,
  })
}

function pdf(objects: readonly string[], trailer: string): Buffer {
  let text = '%PDF-1.4\n'
  const places: number[] = []
  for (const [i, object] of objects.entries()) {
    places.push(text.length)
    text += `${i + 1} 0 obj\n${object}\nendobj\n`
  }
  const start = text.length
  const rows = places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`).join('')
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`
  text += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${trailer} >>\nstartxref\n${start}\n%%EOF\n`
  return Buffer.from(text, 'latin1')
}

function pageObjects(text: string): string[] {
  const stream = text === '' ? '' : `BT /F1 24 Tf 72 700 Td (${text}) Tj ET`
  return [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ]
}

/** A PDF of one page with a line of text, or without one. */
export function aPdf(text: string): Buffer {
  return pdf(pageObjects(text), '')
}

/** A PDF that opens with a password which nobody has. */
export function anEncryptedPdf(): Buffer {
  const key = `<${'ab'.repeat(32)}>`
  const objects = [...pageObjects('secret'), `<< /Filter /Standard /V 1 /R 2 /O ${key} /U ${key} /P -44 >>`]
  const id = `<${'01'.repeat(16)}>`
  return pdf(objects, `/Encrypt 6 0 R /ID [${id} ${id}]`)
}

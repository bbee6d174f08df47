import type { AgentDirectory } from '../../schema/folder.ts'
import { DEFAULT_MAX_FILES_OPEN, viewText } from '../ports/file-view.ts'

/** The part of the prompt that shows an agent's folders and its open files (reference 3.1); empty without folders. */
export function directoriesSection(
  directories: readonly AgentDirectory[],
  max_files_open: number | null,
): string {
  if (directories.length === 0) return ''
  const open = directories.flatMap((directory) => directory.files).filter((file) => file.view !== null)
  return [
    '<directories>',
    '<file_limits>',
    `- current_files_open=${open.length}`,
    `- max_files_open=${max_files_open ?? DEFAULT_MAX_FILES_OPEN}`,
    '</file_limits>',
    ...directories.map(directoryText),
    '</directories>',
  ].join('\n')
}

function directoryText(directory: AgentDirectory): string {
  const { name, description, instructions, files, more } = directory
  return [
    `<directory name="${attribute(name)}">`,
    ...(description ? ['<description>', description, '</description>'] : []),
    ...(instructions ? ['<instructions>', instructions, '</instructions>'] : []),
    ...files.map(fileText),
    ...(more > 0 ? [`${more} more closed files are not listed; grep_files finds them.`] : []),
    '</directory>',
  ].join('\n')
}

function fileText({ path, characters, lines, view }: AgentDirectory['files'][number]): string {
  if (!view) return `<file status="closed" name="${attribute(path)}"></file>`
  return [
    `<file status="open" name="${attribute(path)}">`,
    '<metadata>',
    '- read_only=true',
    `- chars_current=${view.text.length}`,
    `- chars_total=${characters}`,
    '</metadata>',
    '<value>',
    viewText(view, lines),
    '</value>',
    '</file>',
  ].join('\n')
}

/** Anybody's text: none may end an attribute or a line. */
function attribute(text: string): string {
  return text.replaceAll(/[\s<>"]+/g, ' ')
}

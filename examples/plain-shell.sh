#!/bin/sh
# Runs two commands through conductor, waits for both, shows what they said.
set -eu
first=$(conductor submit --agent command "uname -sr")
second=$(conductor submit --agent command "df -h . | tail -1" --timeout 30s --retries 1)
conductor wait "$first" "$second"
for task in "$first" "$second"; do
  conductor logs "$task"
done

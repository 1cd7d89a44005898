#!/bin/sh
# What is left to do of a Task Master plan, done by one agent in the project `words`; the statuses are written back.
# Usage: run.sh AGENT
set -eu
tasks="$(dirname "$0")/tasks.json"

conductor plan "$tasks" --project words                      # 2, 3.1 and 3: task 1 is done
conductor run "$tasks" --project words --agent "$1" --write-back --wait

#!/bin/sh
# From an empty repository to tested code: a plan of shell commands, no model. Run it while conductord runs.
set -eu
plan="$(dirname "$0")/plans/calculator.yaml"

conductor plan "$plan"                                       # the waves; nothing runs
workspace=$(conductor project create calculator)             # its folder; made only once
conductor run "$plan" --project calculator --wait            # exit 1: not all of it came; 5: it waits for you

git -C "$workspace" log --oneline
cd "$workspace" && python3 -B -m calculator 6 x 7

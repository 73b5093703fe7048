#!/usr/bin/env bash
# Trains base and branch by `ablation gate`, and shows what was found in the summary of the job. What the workflow says
# arrives in environment variables, so that none of it is read as a command.
set -uo pipefail

arguments=(--base "$BASE" --branch "$BRANCH" --grid "$GRID" --out "$OUT")
if [ -n "$SEEDS" ]; then
  arguments+=(--seeds "$SEEDS")
fi
mkdir -p "$OUT"
summary="$OUT/summary.md"
rm -f "$summary" # of an earlier run, which this one might not replace
errors=$(mktemp)

ablation gate "${arguments[@]}" 2> "$errors"
code=$?
cat "$errors" >&2
if [ ! -f "$summary" ]; then
  { printf '## Merge gate: not run\n\n'; tail -n 20 "$errors" | sed 's/^/    /'; } > "$summary"
fi
cat "$summary" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
exit "$code"

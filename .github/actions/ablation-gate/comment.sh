#!/usr/bin/env bash
# Writes the summary as a comment on the pull request, or renews the comment that an earlier run wrote. The gate has
# decided before: if the token may not comment, as in a pull request from a fork, that is a warning and no failure.
set -uo pipefail

marker="<!-- ablation gate: $GRID -->"
comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
body=$(mktemp)
{ echo "$marker"; head -c 60000 "$OUT/summary.md"; } > "$body" # a comment may have 65,536 characters

write_comment() {
  local own lines='.[] | [.id, (.body | split("\n") | first)] | @tsv'
  own=$(gh api --paginate "$comments" --jq "$lines" | awk -F '\t' -v marker="$marker" '$2 == marker { print $1 }') || return
  if [ -n "$own" ]; then
    gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/${own%%$'\n'*}" --field "body=@$body" > /dev/null
  else
    gh api --method POST "$comments" --field "body=@$body" > /dev/null
  fi
}

write_comment || echo "::warning::The merge gate could not comment on the pull request; the job summary has its result."

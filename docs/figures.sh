#!/usr/bin/env bash
# Measures again and puts the results into docs/measuring.md, between `<!-- figures: COMMAND -->` and `<!-- end -->`.
set -euo pipefail
cd "$(dirname "$0")/.."
page=docs/measuring.md
out=$(mktemp)
trap 'rm -f "$out"' EXIT
skip=no
while IFS= read -r line; do
    case $line in
    '<!-- figures: '*)
        command=${line#<!-- figures: }
        command=${command% -->}
        # A pipe may close early; what failed to run shows as an empty block.
        figures=$(bash -c "$command" < /dev/null || true)
        [ -n "$figures" ] || { echo "nothing from: $command" >&2; exit 1; }
        printf '%s\n' "$line" '```text' "$figures" '```' >> "$out"
        skip=yes
        ;;
    '<!-- end -->')
        skip=no
        printf '%s\n' "$line" >> "$out"
        ;;
    *) [ "$skip" = yes ] || printf '%s\n' "$line" >> "$out" ;;
    esac
done < "$page"
cat "$out" > "$page"

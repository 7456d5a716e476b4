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
        # The words of a command of our own.
        # shellcheck disable=SC2086
        figures=$($command < /dev/null)
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

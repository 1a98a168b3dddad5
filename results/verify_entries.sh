#!/bin/sh
# Check the entries that a change proposes: sh results/verify_entries.sh BASE PROPOSED
#
# Run it in a checkout of BASE with its own medbench installed: nothing of PROPOSED is checked out or run, only its
# entries are copied, byte for byte. Entries may be added, the ledger may grow at its end, entry.json may be written anew
# by a row that publishes a claimed entry as recomputed, and nothing else may change. What the data of an entry would be
# needed for is not checked where they are not, and `medbench verify` says so.
set -eu
base=$1 proposed=$2
published=results/published

# Say whether the rows that are added publish an entry again.
lifted() {
    size=$(git cat-file -s "$base:$published/ledger.jsonl")
    git cat-file blob "$proposed:$published/ledger.jsonl" | tail -c +$((size + 1)) |
        grep -q "\"entry\":\"$1\".*\"event\":\"published\".*\"tier\":\"recomputed\""
}

git diff --no-renames --name-status "$base" "$proposed" -- | while read -r status path; do
    case "$status $path" in
        "A $published/ledger.jsonl" | "M $published/ledger.jsonl") ;;
        "A $published/"*/bundle.medbench.zip | "A $published/"*/entry.json)
            printf '%s\n' "$path" | grep -Eqx "$published/[0-9a-f]{16}/(bundle\.medbench\.zip|entry\.json)" ||
                { echo "$path: is no entry; an entry's folder has 16 hex digits."; exit 1; } ;;
        "M $published/"*/entry.json)
            lifted "$(basename "$(dirname "$path")")" ||
                { echo "$path: has changed, and no new row of the ledger publishes it as recomputed."; exit 1; } ;;
        *) echo "$status $path: a change that publishes adds entries and rows of the ledger, and nothing else."; exit 1 ;;
    esac
    mode=$(git ls-tree "$proposed" -- "$path" | cut -d ' ' -f 1)
    [ "$mode" = 100644 ] || { echo "$path: has mode $mode; entries are plain files."; exit 1; }
done

if git cat-file -e "$base:$published/ledger.jsonl" 2>/dev/null; then
    git cat-file blob "$base:$published/ledger.jsonl" >ledger.before
    git cat-file blob "$proposed:$published/ledger.jsonl" | head -c "$(wc -c <ledger.before)" | cmp - ledger.before ||
        { echo "ledger.jsonl: rows that are there may not change; corrections are new rows."; exit 1; }
    rm ledger.before
fi

entries=$(git diff --no-renames --name-only "$base" "$proposed" -- "$published" | grep -Eo '[0-9a-f]{16}/' | sort -u)
git cat-file blob "$proposed:$published/ledger.jsonl" >"$published/ledger.jsonl"
for entry in $entries; do
    mkdir -p "$published/$entry"
    for file in bundle.medbench.zip entry.json; do
        git cat-file blob "$proposed:$published/$entry$file" >"$published/$entry$file"
    done
    medbench verify "$published/$entry"
done

# The chain, what may follow what, and every entry against its row: a withdrawal comes as a row alone.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
medbench site "$published" --out "$scratch/site" --no-bundles

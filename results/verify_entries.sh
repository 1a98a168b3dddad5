#!/bin/sh
# Check published entries: all of them, or those that a change proposes.
#
#   bash results/verify_entries.sh                  # every entry of this working tree
#   bash results/verify_entries.sh BASE PROPOSED    # what a change adds to BASE
#
# With BASE, run it in a checkout of BASE with its own medbench installed: nothing of PROPOSED is checked out or run,
# only its entries are copied, byte for byte. Entries may be added, the ledger may grow at its end, entry.json may be
# written anew by a row that publishes a claimed entry as recomputed, and nothing else may change: not the list of
# maintainers either, so a row that says reproduced must be signed by a maintainer of BASE. What the data of an entry
# would be needed for is not checked where they are not, and `medbench verify` says so.
set -eu
published=results/published
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Hold the ledger in file $2 against the one of revision $1: rows are added behind those that are there.
grown() {
    if git cat-file -e "$1:$published/ledger.jsonl" 2>/dev/null; then
        git cat-file blob "$1:$published/ledger.jsonl" >"$scratch/before"
        head -c "$(wc -c <"$scratch/before")" "$2" | cmp -s - "$scratch/before" ||
            { echo "ledger.jsonl: rows that are there may not change; corrections are new rows."; exit 1; }
    fi
}

# The chain, signatures, what may follow what, and every entry against its row: a withdrawal comes as a row alone.
whole() {
    medbench site "$published" --out "$scratch/site" --no-bundles
}

if [ $# = 0 ]; then
    if git rev-parse --quiet --verify HEAD >/dev/null 2>&1; then grown HEAD "$published/ledger.jsonl"; fi
    for place in "$published"/*/; do
        echo "${place%/}"
        code=0
        medbench verify "${place%/}" || code=$?
        if [ $code != 0 ]; then # such as one whose ranges were mended by the entry that replaces it
            grep -q "\"entry\":\"$(basename "$place")\".*\"tier\":\"withdrawn\"" "$published/ledger.jsonl" || exit $code
            echo "It is withdrawn: what is refused now stands nowhere."
        fi
    done
    whole
    exit
fi
base=$1 proposed=$2

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

git cat-file blob "$proposed:$published/ledger.jsonl" >"$scratch/ledger.jsonl"
grown "$base" "$scratch/ledger.jsonl"
entries=$(git diff --no-renames --name-only "$base" "$proposed" -- "$published" | grep -Eo '[0-9a-f]{16}/' | sort -u)
cp "$scratch/ledger.jsonl" "$published/ledger.jsonl"
for entry in $entries; do
    mkdir -p "$published/$entry"
    for file in bundle.medbench.zip entry.json; do
        git cat-file blob "$proposed:$published/$entry$file" >"$published/$entry$file"
    done
    # What another version found cannot always be found again, so nothing new may lean on one.
    version=$(medbench --version | grep -Eo '[0-9][0-9A-Za-z.+]*$')
    grep -Fqx " \"medbench\": \"$version\"," "$published/${entry}entry.json" ||
        { echo "$published/${entry}entry.json: was not written by medbench $version; publish the bundle again."; exit 1; }
    medbench verify "$published/$entry" >"$scratch/said" || { code=$?; cat "$scratch/said"; exit $code; }
    cat "$scratch/said"
    if tr '\n' ' ' <"$scratch/said" | grep -q "says what we compute, but not"; then
        echo "${entry%/}" >>"$scratch/open"
    fi
done
whole
if [ -f "$scratch/before" ]; then # they are sound texts by now, and a reviewer must look at them
    echo "Rows that are added:"
    tail -c +$(($(wc -c <"$scratch/before") + 1)) "$scratch/ledger.jsonl"
fi
if [ -f "$scratch/open" ]; then
    echo "NOT RECOMPUTED HERE, so a maintainer must run \`medbench verify\` with --data before this is merged:"
    cat "$scratch/open"
fi

#!/bin/sh
# The night of one organisation: import what lies in a folder, print the report on the data, make the lists.
# Ends at the first step that fails; the lists published before stay served.
set -eu
folder=${1:-/import}
for kind in units items members events; do
    for file in "$folder/$kind".*; do
        if [ -f "$file" ]; then
            xuelu ingest "$kind" "$file"
        fi
    done
done
xuelu doctor || echo "night.sh: the data is not sound; the lists are made all the same" >&2
exec xuelu nightly --json

#!/bin/sh
# The night of one organisation: import what lies in a folder, print the report on the data, make the lists.
# Every step runs; the exit status is not 0 where a file was refused or the night did not publish.
set -u
folder=${1:-/import}
failed=0
for kind in units items members events; do
    for file in "$folder/$kind".*; do
        if [ -f "$file" ]; then
            xuelu ingest "$kind" "$file" || failed=1
        fi
    done
done
xuelu doctor || echo "night.sh: the data is not sound; the lists are made all the same" >&2
xuelu nightly --json || failed=$?
exit "$failed"

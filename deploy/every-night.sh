#!/bin/sh
# Run night.sh every day at NIGHT_AT, a time in UTC, for containers without a timer. A night that fails is tried again the next day.
set -eu
trap 'exit 0' TERM INT
while :; do
    now=$(date -u +%s)
    next=$(date -u -d "${NIGHT_AT:-02:30}" +%s)
    if [ "$next" -le "$now" ]; then
        next=$((next + 86400))
    fi
    sleep $((next - now)) &
    wait $!
    night.sh "$@" || echo "every-night.sh: the night ended with exit status $?" >&2
done

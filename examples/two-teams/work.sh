#!/bin/sh
# Does the work of an actor: writes down which delivery it was, as one line that is never mixed with another.
# An event that says "poison" is refused for good (65, as the support desk's reject_on says).
event=$(cat)
case $event in *'"poison"'*) [ -e "$LEDGER.cured" ] || { echo "this ticket cannot be read" >&2; exit 65; } ;; esac
printf '%s %s %s\n' "$1" "$ORGLOOP_EVENT_ID" "$ORGLOOP_IDEMPOTENCY_KEY" >> "$LEDGER"

#!/bin/sh
# Reads one event as JSON from standard input, and greets. It needs nothing but what every system has.
event=$(cat)
say=$(printf '%s' "$event" | sed -n 's/.*"say":"\([a-z]*\)".*/\1/p')
to=$(printf '%s' "$event" | sed -n 's/.*"to":"\([^"]*\)".*/\1/p')
printf '%s, %s!\n' "$say" "$to" >> "${GREETINGS:-greetings.txt}"

#!/bin/sh
# Makes TEMPORAL_NAMESPACE at TEMPORAL_ADDRESS when it is missing, and sets how long a closed
# workflow keeps its ID: longer than the 30 days during which Stripe can resend an event.
# Search attributes are the worker's: it registers them itself.
set -eu
tries=60
until temporal operator cluster health; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 2
done
if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
  change=update
else
  change=create
fi
temporal operator namespace $change --namespace "$TEMPORAL_NAMESPACE" --retention 90d

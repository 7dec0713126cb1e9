#!/bin/sh
# Makes up the secrets of docker-compose.yml, one file each; a file that is there stays as it is.
#
#   deploy/compose/make-secrets.sh secrets                      to sell by your own Stripe account
#   deploy/compose/make-secrets.sh secrets-emulator --emulator  all of it on this machine
#
# Containers read the files as users of their own, so the files are readable and the folder is
# yours alone.
set -eu
folder=$1
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
umask 022

keep() {
  [ -e "$1" ] || printf '%s\n' "$2" >"$1"
}
token() {
  openssl rand -hex 32
}
webhook_secret() {
  printf 'whsec_%s' "$(openssl rand -base64 32)"
}

for name in postgres_password database_password temporal_database_password grafana_admin_password \
  operator_token app_token signing_secrets temporal_codec_token; do
  keep "$name" "$(token)"
done
keep database_url "postgresql://fulfillment:$(cat database_password)@postgres:5432/fulfillment"
keep temporal_payload_keys "$(openssl rand -base64 32)"
for name in app_webhook_secrets carrier_webhook_secrets mail_webhook_secrets; do
  keep "$name" "$(webhook_secret)"
done
if [ "${2-}" = --emulator ]; then
  keep stripe_api_key "sk_test_$(token)"
  keep stripe_webhook_secrets "whsec_$(token)"
  keep smtp_url smtp://mailpit:1025
  keep carrier_api_key none
fi

echo "The secrets are in $folder. Back it up: what Temporal keeps is unreadable without its keys."
for name in stripe_api_key stripe_webhook_secrets smtp_url carrier_api_key; do
  [ -e "$name" ] || : >"$name"
  [ -s "$name" ] || echo "Only you have what belongs into $folder/$name"
done

#!/bin/sh
# Brings Temporal's two databases to the schema of this admin-tools image; may run again.
set -eu
SQL_PASSWORD=$(cat /run/secrets/temporal_database_password)
export SQL_PASSWORD
set_up() {
  export SQL_DATABASE="$1"
  temporal-sql-tool setup-schema -v 0.0
  temporal-sql-tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$2/versioned"
}
set_up temporal temporal
set_up temporal_visibility visibility

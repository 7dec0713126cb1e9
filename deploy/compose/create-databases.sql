-- Makes the roles and databases when PostgreSQL starts on an empty volume. Each program is the
-- owner of its own database, and can do nothing elsewhere.
\set fulfillment_password `cat /run/secrets/database_password`
\set temporal_password `cat /run/secrets/temporal_database_password`
CREATE ROLE fulfillment LOGIN PASSWORD :'fulfillment_password';
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE fulfillment OWNER fulfillment;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE ALL ON DATABASE fulfillment, temporal, temporal_visibility FROM PUBLIC;

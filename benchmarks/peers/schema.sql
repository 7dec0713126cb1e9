-- What each peer records in its own database.
CREATE TABLE fulfillments (
    session_id text PRIMARY KEY,
    fulfilled_at timestamptz
);
CREATE TABLE entitlements (
    session_id text NOT NULL,
    feature text NOT NULL,
    email text NOT NULL,
    PRIMARY KEY (session_id, feature)
);

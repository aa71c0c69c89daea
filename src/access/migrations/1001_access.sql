-- Virtual keys, and what sign-ins need. Both SQLite and PostgreSQL read this. Times are in milliseconds since 1970.
CREATE TABLE access_state (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO access_state (name, value) VALUES ('version', 1);
CREATE TABLE access_keys (
    id TEXT NOT NULL PRIMARY KEY,
    -- BLAKE3, keyed: of no use for calling.
    digest TEXT NOT NULL,
    -- The key before the last rotation, until then.
    previous TEXT,
    previous_until BIGINT,
    -- Whose it is and what it may use, as JSON.
    terms TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT,
    rotated BIGINT,
    last_used BIGINT
);
CREATE TABLE access_codes (
    device_digest TEXT NOT NULL PRIMARY KEY,
    user_code TEXT NOT NULL UNIQUE,
    expires BIGINT NOT NULL,
    polled BIGINT NOT NULL,
    -- `pending`, `approved`, `denied`
    state TEXT NOT NULL,
    subject TEXT,
    tenant TEXT,
    email TEXT
);
CREATE TABLE access_sessions (
    digest TEXT NOT NULL PRIMARY KEY,
    family TEXT NOT NULL,
    subject TEXT NOT NULL,
    tenant TEXT NOT NULL,
    email TEXT,
    expires BIGINT NOT NULL,
    -- 1 once it was exchanged for the next: whoever shows it again has stolen it, or was stolen from.
    used BIGINT NOT NULL
);
CREATE INDEX access_sessions_family ON access_sessions (family)
;
CREATE TABLE access_secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
)

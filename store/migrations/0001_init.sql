-- Times are milliseconds since 1970 in UTC. Hashes, pins and log IDs are BLOBs of
-- 32 bytes. Lists of text are JSON arrays. Rows are told apart by what they are of
-- (an ID, a pin, an index); seq is what other tables refer to them by.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each log that was ever followed.
CREATE TABLE logs (
  seq              INTEGER PRIMARY KEY,
  id               BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
  name             TEXT NOT NULL,
  operator         TEXT NOT NULL,
  kind             TEXT NOT NULL,
  state            TEXT NOT NULL,
  url              TEXT NOT NULL,
  submission_url   TEXT NOT NULL,
  key              BLOB NOT NULL,

  started          INTEGER NOT NULL DEFAULT 0, -- 1: a starting point was chosen
  epoch            INTEGER NOT NULL DEFAULT 0, -- counts how often reading went back to the verified position
  position         INTEGER NOT NULL DEFAULT 0, -- entries read
  verified_size    INTEGER NOT NULL DEFAULT 0, -- entries proven
  verified_range   BLOB NOT NULL DEFAULT x'',  -- compact range of the proven tree, the hashes joined
  tree_size        INTEGER NOT NULL DEFAULT 0, -- of the largest tree head accepted
  head             INTEGER,                    -- heads.n of that tree head
  behind_since     INTEGER,                    -- NULL: position is tree_size
  last_head_at     INTEGER,
  last_verified_at INTEGER,
  last_error       TEXT NOT NULL DEFAULT '',
  fault            TEXT NOT NULL DEFAULT '',   -- cause of a misbehaviour that was told and stands

  -- Verified sums up what was read: it is never ahead.
  CHECK (verified_size <= position)
) STRICT;

-- Tree heads as signed. n counts up for each log, so that the newest are a range.
CREATE TABLE heads (
  log       INTEGER NOT NULL REFERENCES logs,
  n         INTEGER NOT NULL,
  size      INTEGER NOT NULL,
  root      BLOB NOT NULL CHECK (length(root) = 32),
  timestamp INTEGER NOT NULL,
  raw       BLOB NOT NULL,
  PRIMARY KEY (log, n)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX heads_by_size ON heads (log, size, root, timestamp);

-- Proofs of misbehaviour, kept for ever. id is a hash of log, cause and heads.
CREATE TABLE evidence (
  id         TEXT PRIMARY KEY,
  log        INTEGER NOT NULL REFERENCES logs,
  cause      TEXT NOT NULL,
  detail     TEXT NOT NULL,
  evidence   TEXT NOT NULL, -- JSON
  first_seen INTEGER NOT NULL,
  told       INTEGER NOT NULL DEFAULT 0 -- how many events it was told in
) STRICT;
CREATE INDEX evidence_by_log ON evidence (log, cause);

CREATE TABLE certificates (
  seq            INTEGER PRIMARY KEY,
  id             BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
  first_seen     INTEGER NOT NULL,
  verdict        TEXT NOT NULL,
  reasons        TEXT NOT NULL,
  serial         TEXT NOT NULL,
  names          TEXT NOT NULL,
  ip_addresses   TEXT NOT NULL,
  subject        TEXT NOT NULL,
  not_before     INTEGER, -- NULL: unreadable
  not_after      INTEGER,
  issuer_name    TEXT NOT NULL,
  issuer_pin     BLOB,    -- NULL: unknown
  issuer_caa     TEXT NOT NULL,
  key_algorithm  TEXT NOT NULL,
  key_pin        BLOB,
  certificate    BLOB,    -- SHA-256 of the final certificate; NULL: not seen
  precertificate BLOB,    -- of the precertificate
  problems       TEXT NOT NULL
) STRICT;
CREATE INDEX certificates_by_time ON certificates (first_seen);

-- The bytes of certificates, apart from the facts that lists are made of.
CREATE TABLE ders (
  certificate    INTEGER PRIMARY KEY REFERENCES certificates,
  tbs            BLOB NOT NULL,
  final          BLOB,
  precertificate BLOB
) STRICT;

-- Why a certificate is here: its matches, in order.
CREATE TABLE matches (
  certificate INTEGER NOT NULL REFERENCES certificates,
  n           INTEGER NOT NULL,
  watch       TEXT NOT NULL,
  name        TEXT NOT NULL,
  domain      TEXT NOT NULL,
  PRIMARY KEY (certificate, n)
) STRICT, WITHOUT ROWID;

-- Where a certificate was seen. Only what was met in a log's current epoch can be
-- verified: an entry that was altered, and is served whole when it is read again,
-- has another leaf hash then, and the altered one stays unverified for ever.
CREATE TABLE sightings (
  certificate INTEGER NOT NULL REFERENCES certificates,
  log         INTEGER NOT NULL REFERENCES logs,
  entry       INTEGER NOT NULL, -- index in the log
  leaf_hash   BLOB NOT NULL CHECK (length(leaf_hash) = 32),
  timestamp   INTEGER NOT NULL,
  kind        TEXT NOT NULL,
  epoch       INTEGER NOT NULL, -- of the log, when it was last met
  verified    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (certificate, log, entry, leaf_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX sightings_unverified ON sightings (log, epoch, entry) WHERE verified = 0;

-- Entries that cannot be parsed.
CREATE TABLE malformed (
  log       INTEGER NOT NULL REFERENCES logs,
  entry     INTEGER NOT NULL,
  leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
  reason    TEXT NOT NULL,
  seen_at   INTEGER NOT NULL,
  PRIMARY KEY (log, entry, leaf_hash)
) STRICT, WITHOUT ROWID;

-- Keys, by the role they were seen in. The certificates of a key are those with
-- its pin in key_pin or issuer_pin.
CREATE TABLE keys (
  seq        INTEGER PRIMARY KEY,
  pin        BLOB NOT NULL CHECK (length(pin) = 32),
  role       TEXT NOT NULL,
  algorithm  TEXT NOT NULL,
  state      TEXT NOT NULL,
  first_seen INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  changed_by TEXT NOT NULL,
  reason     TEXT NOT NULL,
  UNIQUE (pin, role)
) STRICT;

-- The watched domains that a leaf key was told to be new on.
CREATE TABLE key_domains (
  key    INTEGER NOT NULL REFERENCES keys,
  domain TEXT NOT NULL,
  PRIMARY KEY (key, domain)
) STRICT, WITHOUT ROWID;

-- Events for all senders, in order. A seq is never used twice, since senders
-- remember how far they are.
CREATE TABLE outbox (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  event      TEXT NOT NULL -- CloudEvents JSON
) STRICT;

CREATE TABLE senders (
  name            TEXT PRIMARY KEY,
  registered_at   INTEGER NOT NULL,
  cursor          INTEGER NOT NULL, -- outbox.seq of the last event that is done with
  last_success_at INTEGER,
  last_error      TEXT NOT NULL DEFAULT '', -- '': the last try succeeded
  attempts        INTEGER NOT NULL DEFAULT 0 -- failures since the last success
) STRICT, WITHOUT ROWID;

-- Events that a sender will never take.
CREATE TABLE dead_letters (
  sender TEXT NOT NULL REFERENCES senders,
  seq    INTEGER NOT NULL, -- of the outbox
  event  TEXT NOT NULL,
  reason TEXT NOT NULL,
  at     INTEGER NOT NULL,
  PRIMARY KEY (sender, seq)
) STRICT, WITHOUT ROWID;

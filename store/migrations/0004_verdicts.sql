-- What rules make of certificates, what they go by besides, and where it was told.

-- Names for which rules vouch for its key by it, and the CAA records that were found
-- for its domains when it was found, as JSON; NULL: nobody has asked.
ALTER TABLE certificates ADD COLUMN vouched TEXT NOT NULL DEFAULT '[]';
ALTER TABLE certificates ADD COLUMN caa     TEXT;

CREATE INDEX certificates_caa_unknown ON certificates (seq, not_after) WHERE instr(reasons, '"caa_unknown"') > 0;

-- Those that should not exist are few, and looked for with each that is found.
CREATE INDEX certificates_unexpected ON certificates (key_pin, seq) WHERE verdict = 'unexpected';

-- A CHECK can only be changed with its table.
CREATE TABLE new_grants (
  key     INTEGER NOT NULL REFERENCES keys,
  pattern TEXT NOT NULL, -- "h", "*.h" or ".h"
  source  TEXT NOT NULL CHECK (source IN ('person', 'policy', 'rule')), -- rule: by a certificate that rules expect
  by      TEXT NOT NULL,
  at      INTEGER NOT NULL,
  reason  TEXT NOT NULL,
  PRIMARY KEY (key, pattern, source)
) STRICT, WITHOUT ROWID;
INSERT INTO new_grants SELECT key, pattern, source, by, at, reason FROM grants;
DROP TABLE grants;
ALTER TABLE new_grants RENAME TO grants;

-- Since when each host has been seen to serve a key, whether or not it still does.
CREATE TABLE served_keys (
  pin   BLOB NOT NULL CHECK (length(pin) = 32),
  host  TEXT NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (pin, host)
) STRICT, WITHOUT ROWID;
INSERT INTO served_keys SELECT substr(chain, 1, 32), host, min(since) FROM served
WHERE length(chain) >= 32 AND substr(chain, 1, 32) <> zeroblob(32) GROUP BY 1, 2;

-- Issuing keys that were found to belong to a CA, by the signature of one known.
CREATE TABLE issuers (
  pin BLOB NOT NULL PRIMARY KEY CHECK (length(pin) = 32),
  ca  TEXT NOT NULL, -- its name
  at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which message of a sender is about what.
CREATE TABLE threads (
  sender  TEXT NOT NULL,
  key     TEXT NOT NULL,
  channel TEXT NOT NULL,
  ts      TEXT NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (sender, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX threads_by_age ON threads (at);

-- Events that are put before a sender again, in the order of n. A number is never
-- used twice, since a sender under way remembers it.
CREATE TABLE redeliveries (
  n      INTEGER PRIMARY KEY AUTOINCREMENT,
  sender TEXT NOT NULL REFERENCES senders,
  seq    INTEGER NOT NULL, -- of the outbox
  event  TEXT,             -- of a dead letter; NULL: it is in the outbox
  at     INTEGER NOT NULL,
  UNIQUE (sender, seq)
) STRICT;
CREATE INDEX redeliveries_by_sender ON redeliveries (sender, n);
CREATE INDEX redeliveries_by_seq ON redeliveries (seq) WHERE event IS NULL;

-- Which keys are trusted, for which hosts, by whom and why; what apps ship; what
-- servers serve.

-- Whether a certificate is served anywhere now, and when it first was.
ALTER TABLE certificates ADD COLUMN deployed    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE certificates ADD COLUMN deployed_at INTEGER; -- NULL: never
ALTER TABLE certificates ADD COLUMN vouched TEXT NOT NULL DEFAULT '[]'; -- names for which rules vouch for its key by it
CREATE INDEX certificates_by_key    ON certificates (key_pin, not_after);
CREATE INDEX certificates_by_issuer ON certificates (issuer_pin, not_after);

ALTER TABLE keys ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0; -- 1: a person ordered the retirement that is under way

-- The hosts whose pins a key may be among. They count while the key is trusted.
CREATE TABLE grants (
  key     INTEGER NOT NULL REFERENCES keys,
  pattern TEXT NOT NULL, -- "h", "*.h" or ".h"
  source  TEXT NOT NULL CHECK (source IN ('person', 'policy', 'rule')), -- rule: by a certificate that rules expect
  by      TEXT NOT NULL,
  at      INTEGER NOT NULL,
  reason  TEXT NOT NULL,
  PRIMARY KEY (key, pattern, source)
) STRICT, WITHOUT ROWID;

-- Every change of what is trusted: the states of keys can be told from it alone.
-- Rows are only ever added.
CREATE TABLE audit (
  seq         INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,
  pin         BLOB,          -- NULL: it concerns no key
  role        TEXT NOT NULL,
  action      TEXT NOT NULL,
  from_state  TEXT NOT NULL,
  to_state    TEXT NOT NULL,
  hosts       TEXT NOT NULL,
  certificate BLOB,          -- ID; NULL: it concerns none
  verdict     TEXT NOT NULL,
  app         TEXT NOT NULL,
  version     TEXT NOT NULL,
  actor       TEXT NOT NULL,
  by          TEXT NOT NULL,
  reason      TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_pin ON audit (pin);
CREATE INDEX audit_by_certificate ON audit (certificate) WHERE certificate IS NOT NULL;

CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit trail is only added to');
END;
CREATE TRIGGER audit_is_as_written BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit trail is only added to');
END;
-- INSERT OR REPLACE deletes without a trigger.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'the audit trail is only added to');
END;

-- Until now all keys were found in logs, and trusted by nobody.
INSERT INTO audit (at, pin, role, action, from_state, to_state, hosts, verdict, app, version, actor, by, reason)
SELECT first_seen, pin, role, 'state', '', state, '[]', '', '', '', 'log', changed_by, reason FROM keys ORDER BY seq;

-- What released versions of apps ship, as files.
CREATE TABLE shipped (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  app         TEXT NOT NULL,
  version     TEXT NOT NULL,
  format      TEXT NOT NULL,
  name        TEXT NOT NULL, -- of the file
  content     BLOB NOT NULL CHECK (length(content) <= 4194304),
  imported_at INTEGER NOT NULL,
  by          TEXT NOT NULL,
  ended_at    INTEGER,       -- NULL: the version is supported
  UNIQUE (app, version)
) STRICT;

-- What each address of an endpoint served when it was last reached: a row for each
-- certificate.
CREATE TABLE served (
  host        TEXT NOT NULL,
  target      TEXT NOT NULL,
  address     TEXT NOT NULL,
  leaf_hash   BLOB NOT NULL CHECK (length(leaf_hash) = 32), -- SHA-256 of leaf
  leaf        BLOB NOT NULL, -- DER
  chain       BLOB NOT NULL CHECK (length(chain) % 32 = 0), -- pins, joined, the leaf's first
  open        INTEGER NOT NULL,
  certificate BLOB NOT NULL CHECK (length(certificate) = 32), -- ID of the leaf
  algorithm   TEXT NOT NULL,
  common_name TEXT NOT NULL,
  named       INTEGER NOT NULL, -- 1: host is among its names, and not only by a wildcard
  not_before  INTEGER,          -- NULL: unreadable
  not_after   INTEGER,
  since       INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  last_error  TEXT NOT NULL DEFAULT '', -- '': it was reached the last time
  PRIMARY KEY (host, target, address, leaf_hash)
) STRICT;
CREATE INDEX served_by_certificate ON served (certificate, since);

-- What holds now and is told once when it comes to be. episode counts how often.
CREATE TABLE conditions (
  kind    TEXT NOT NULL, -- type of the event
  app     TEXT NOT NULL,
  host    TEXT NOT NULL,
  what    TEXT NOT NULL,
  active  INTEGER NOT NULL,
  episode INTEGER NOT NULL,
  since   INTEGER NOT NULL, -- of active being what it is
  PRIMARY KEY (kind, app, host, what)
) STRICT, WITHOUT ROWID;

-- The last pin documents of each app. The newest is never deleted, since serials
-- go on from it.
CREATE TABLE documents (
  app       TEXT NOT NULL,
  serial    INTEGER NOT NULL,
  digest    TEXT NOT NULL, -- of what it says
  issued_at INTEGER NOT NULL,
  payload   BLOB NOT NULL,
  PRIMARY KEY (app, serial)
) STRICT;

-- Counts the changes of what plans rest on.
INSERT INTO meta (key, value) VALUES ('revision', '1');

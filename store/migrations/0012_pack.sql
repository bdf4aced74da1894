-- Events and certificates are stored in few bytes (package pack). The rows of outbox and
-- ders move to new tables, by backfills: in the old ones they would leave gaps.
ALTER TABLE outbox RENAME TO outbox_plain;
CREATE TABLE outbox (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         BLOB NOT NULL UNIQUE, -- 16 bytes: the event's ID, or of a hash of it
  created_at INTEGER NOT NULL,
  event      BLOB NOT NULL -- CloudEvents JSON, packed
) STRICT;
INSERT INTO sqlite_sequence (name, seq) SELECT 'outbox', seq FROM sqlite_sequence WHERE name = 'outbox_plain';

ALTER TABLE ders RENAME TO ders_plain;
CREATE TABLE ders (
  certificate    INTEGER PRIMARY KEY REFERENCES certificates,
  tbs            BLOB NOT NULL, -- packed
  final          BLOB,          -- packed, as what differs from tbs
  precertificate BLOB,          -- packed, as what differs from tbs
  final_proven   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- An event is stored once: with a dead letter only when the outbox no longer has it.
CREATE TABLE new_dead_letters (
  sender TEXT NOT NULL REFERENCES senders,
  seq    INTEGER NOT NULL, -- of the outbox
  event  BLOB,             -- packed; NULL: it is in the outbox
  reason TEXT NOT NULL,
  at     INTEGER NOT NULL,
  PRIMARY KEY (sender, seq)
) STRICT, WITHOUT ROWID;
-- 'p': packed as it is.
INSERT INTO new_dead_letters SELECT sender, seq,
  CASE WHEN NOT EXISTS (SELECT 1 FROM outbox_plain o WHERE o.seq = d.seq) THEN CAST('p' || event AS BLOB) END, reason, at
FROM dead_letters d;
DROP TABLE dead_letters;
ALTER TABLE new_dead_letters RENAME TO dead_letters;
CREATE INDEX dead_letters_by_seq ON dead_letters (seq) WHERE event IS NULL;

CREATE TABLE new_redeliveries (
  n      INTEGER PRIMARY KEY AUTOINCREMENT,
  sender TEXT NOT NULL REFERENCES senders,
  seq    INTEGER NOT NULL, -- of the outbox
  event  BLOB,             -- of a dead letter, packed; NULL: it is in the outbox
  at     INTEGER NOT NULL,
  UNIQUE (sender, seq)
) STRICT;
INSERT INTO new_redeliveries SELECT n, sender, seq, CAST('p' || event AS BLOB), at FROM redeliveries;
INSERT OR REPLACE INTO sqlite_sequence (rowid, name, seq)
SELECT (SELECT rowid FROM sqlite_sequence WHERE name = 'new_redeliveries'), 'new_redeliveries', seq FROM sqlite_sequence WHERE name = 'redeliveries';
DROP TABLE redeliveries;
ALTER TABLE new_redeliveries RENAME TO redeliveries;
CREATE INDEX redeliveries_by_sender ON redeliveries (sender, n);
CREATE INDEX redeliveries_by_seq ON redeliveries (seq) WHERE event IS NULL;

-- Entries that nothing proves are cheap to forge, and so are alarms about them: people get
-- a few by themselves, and the others in a digest. A row goes once its certificate is
-- proven.
CREATE TABLE unproven (
  certificate INTEGER NOT NULL PRIMARY KEY REFERENCES certificates,
  log         INTEGER NOT NULL REFERENCES logs, -- which serves it
  at          INTEGER NOT NULL,                 -- of its last alarm
  state       TEXT NOT NULL CHECK (state IN ('alone', 'held', 'digest')) -- held: waits for a digest
) STRICT;
CREATE INDEX unproven_by_log ON unproven (log, state, at);

-- The digests of each log: how many there were, the last, and how many alarms were held
-- back for them, ever.
CREATE TABLE digests (
  log  INTEGER NOT NULL PRIMARY KEY REFERENCES logs,
  n    INTEGER NOT NULL DEFAULT 0,
  at   INTEGER,                  -- NULL: none yet
  held INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Of malformed entries only so many have a row for each log and reason: those not told of
-- yet, and those told of last. What is beyond is counted.
CREATE TABLE malformed_reasons (
  log     INTEGER NOT NULL REFERENCES logs,
  reason  TEXT NOT NULL,
  told_at INTEGER,                     -- NULL: never
  untold  INTEGER NOT NULL DEFAULT 0,  -- rows that were not told of yet
  more    INTEGER NOT NULL DEFAULT 0,  -- entries without a row that were not told of yet
  PRIMARY KEY (log, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO malformed_reasons (log, reason, told_at, untold)
SELECT log, reason, max(told_at), count(*) FILTER (WHERE told_at IS NULL) FROM malformed GROUP BY log, reason;
DELETE FROM malformed WHERE told_at IS NOT NULL AND told_at < (
  SELECT told_at FROM malformed_reasons r WHERE r.log = malformed.log AND r.reason = malformed.reason);

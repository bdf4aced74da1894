-- Certificates by what people and plans look for: each row puts one on a list, in the order
-- in which certificates are listed. A list is the hash of a name, or -logs.seq for those that
-- a log has: see lists.go. certificate refers to certificates.seq, which is not checked, for
-- speed: certificates are never deleted.
CREATE TABLE lists (
  list        INTEGER NOT NULL,
  first_seen  INTEGER NOT NULL, -- of the certificate
  certificate INTEGER NOT NULL,
  PRIMARY KEY (list, first_seen, certificate)
) STRICT, WITHOUT ROWID;

-- 1: a person gave its verdict.
ALTER TABLE certificates ADD COLUMN decided INTEGER NOT NULL DEFAULT 0;
UPDATE certificates SET decided = 1
WHERE id IN (SELECT certificate FROM audit WHERE certificate IS NOT NULL AND action = 'judge' AND actor = 'person');

CREATE INDEX certificates_expected_by_time   ON certificates (first_seen) WHERE verdict = 'expected';
CREATE INDEX certificates_unexpected_by_time ON certificates (first_seen) WHERE verdict = 'unexpected';
CREATE INDEX certificates_unreviewed_by_time ON certificates (first_seen) WHERE verdict = 'unreviewed';
CREATE INDEX certificates_open_by_time       ON certificates (first_seen) WHERE verdict <> 'expected' AND decided = 0;

-- How many certificates are unexpected or unreviewed and not decided by a person, by watched
-- domain, and in all with the domain ''.
CREATE TABLE open_verdicts (
  domain  TEXT NOT NULL,
  verdict TEXT NOT NULL,
  count   INTEGER NOT NULL,
  PRIMARY KEY (domain, verdict)
) STRICT, WITHOUT ROWID;

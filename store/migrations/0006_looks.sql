-- The first look that succeeded at each host, ever. What the host served then is its
-- owner's; what it serves later may be an intruder's. Rows stay when the host is
-- looked at no more.
CREATE TABLE first_looks (
  host TEXT NOT NULL PRIMARY KEY,
  at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO first_looks
SELECT host, min(since) FROM (SELECT host, since FROM served_keys UNION ALL SELECT host, since FROM served) GROUP BY host;

-- What an address served that was not reached before counted as a first look, too.
DELETE FROM served_keys WHERE since > (SELECT at FROM first_looks f WHERE f.host = served_keys.host);

-- The names of the certificates that a first look showed with the key, where clients
-- accept them for the host.
ALTER TABLE served_keys ADD COLUMN names TEXT NOT NULL DEFAULT '[]';

-- All certificates are to be judged again. Until now what rules vouched for ended with
-- the first certificate of the key that should not exist; what it was is found again.
DELETE FROM meta WHERE key = 'rules';
-- Those that a person rejected keep what rules vouched for by them: it was contradicted.
UPDATE certificates SET vouched = '[]' WHERE vouched <> '[]' AND verdict <> 'unexpected'
  AND key_pin IN (SELECT key_pin FROM certificates WHERE verdict = 'unexpected');

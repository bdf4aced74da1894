-- Whose an issuing key is was decided by the organization that a CA's certificate
-- names, which any sub-CA can choose. What was learned that way is kept as a claim,
-- and goes when a chain shows who certified the key.
ALTER TABLE issuers RENAME TO issuer_claims;

-- Issuing keys that chains show to be certified by a CA of the built-in table.
CREATE TABLE issuers (
  pin              BLOB    NOT NULL CHECK (length(pin) = 32),
  anchor           BLOB    NOT NULL CHECK (length(anchor) = 32), -- key of the table, the nearest above
  not_before       INTEGER NOT NULL, -- when all certificates between are valid
  not_after        INTEGER NOT NULL,
  name_constraints BLOB    NOT NULL, -- of the certificates between, in DER, joined
  at               INTEGER NOT NULL,
  PRIMARY KEY (pin, anchor, not_before, not_after, name_constraints)
) STRICT, WITHOUT ROWID;

-- All certificates are judged again.
DELETE FROM meta WHERE key = 'rules';

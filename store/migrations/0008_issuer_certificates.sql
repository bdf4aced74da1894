-- Certificates of CAs, as logs and servers show them: what is above a leaf in the chains
-- that clients build. Nothing is trusted by being here.
CREATE TABLE issuer_certificates (
  seq         INTEGER PRIMARY KEY,
  fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
  der         BLOB NOT NULL
) STRICT;

-- Who issued is believed only by a signature of the issuer's key.

-- 1: verified. 2: recorded before signatures were checked, in an entry that is proven to
-- be in its log's tree; believed until the entry is read again. 0: only what a log says.
ALTER TABLE certificates ADD COLUMN issuer_proven INTEGER NOT NULL DEFAULT 0;

-- The issuer's key that the entry names, or that signed it; NULL: none is known.
ALTER TABLE sightings ADD COLUMN issuer_pin BLOB;
-- 1: worth reading again, since its issuer is not proven or its chain is not whole.
ALTER TABLE sightings ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0;

UPDATE sightings SET issuer_pin = (SELECT issuer_pin FROM certificates WHERE seq = certificate), unsettled = 1;
UPDATE certificates SET issuer_proven = 2
WHERE issuer_pin IS NOT NULL AND EXISTS (SELECT 1 FROM sightings WHERE certificate = seq AND verified = 1);

CREATE INDEX sightings_unsettled ON sightings (log, entry) WHERE unsettled = 1;

-- 1: the CA's signature over the final certificate was verified. One without that can be
-- anybody's around the same TBSCertificate, and gives way to it.
ALTER TABLE ders ADD COLUMN final_proven INTEGER NOT NULL DEFAULT 0;
UPDATE ders SET final_proven = 1 WHERE final IS NOT NULL
  AND EXISTS (SELECT 1 FROM sightings s WHERE s.certificate = ders.certificate AND s.kind = 'certificate' AND s.verified = 1);

-- Entries that are read again, since their issuer is not proven. unsettled is 2 where the
-- log did not serve all of the chain, 1 where it did and that proves nothing, 0 where
-- nothing is left to find out.
ALTER TABLE sightings ADD COLUMN asked  INTEGER NOT NULL DEFAULT 0; -- how often the entry was read again
ALTER TABLE sightings ADD COLUMN ask_at INTEGER NOT NULL DEFAULT 0; -- when it is worth trying next
DROP INDEX sightings_unsettled;
CREATE INDEX sightings_unsettled ON sightings (log, unsettled, ask_at, entry DESC) WHERE unsettled > 0;
CREATE INDEX sightings_unsettled_entries ON sightings (log, entry) WHERE unsettled > 0;

-- 0: the certificates of the key have yet to be judged again.
ALTER TABLE issuers ADD COLUMN judged INTEGER NOT NULL DEFAULT 1;
CREATE INDEX issuers_unjudged ON issuers (pin) WHERE judged = 0;

-- What was read after the verified position and is kept over a restart.
ALTER TABLE logs ADD COLUMN kept         INTEGER NOT NULL DEFAULT 0; -- 1: up to read_size. 2: all, but it did not verify
ALTER TABLE logs ADD COLUMN read_size    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE logs ADD COLUMN read_range   BLOB NOT NULL DEFAULT x'';  -- compact range of the tree of read_size
ALTER TABLE logs ADD COLUMN repair_at    INTEGER NOT NULL DEFAULT 0; -- when what did not verify is read once more
ALTER TABLE logs ADD COLUMN repair_pause INTEGER NOT NULL DEFAULT 0; -- milliseconds between that and the time before

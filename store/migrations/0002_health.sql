-- Whether a log is well is decided with patience, and told when it changes.
ALTER TABLE logs ADD COLUMN unhealthy TEXT NOT NULL DEFAULT '';   -- why; '': it is well
ALTER TABLE logs ADD COLUMN episode   INTEGER NOT NULL DEFAULT 0; -- counts how often it was not

-- Malformed entries are told of at most so often for each log and reason; what has
-- not been told yet is told with the next.
ALTER TABLE malformed ADD COLUMN told_at INTEGER; -- NULL: not yet
UPDATE malformed SET told_at = seen_at;
CREATE INDEX malformed_by_reason ON malformed (log, reason, told_at);
CREATE INDEX malformed_untold ON malformed (log) WHERE told_at IS NULL;

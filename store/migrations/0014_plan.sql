-- Plans read what concerns the hosts of apps, however much else there is.
CREATE INDEX grants_by_pattern ON grants (pattern);
CREATE INDEX grants_by_policy ON grants (key) WHERE source = 'policy';

-- Approved keys end with their last certificates. ends is when that may be, at the earliest.
ALTER TABLE keys ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;
UPDATE keys SET ends = coalesce((SELECT max(not_after) FROM certificates WHERE key_pin = keys.pin), 0)
WHERE state = 'approved' AND role = 'leaf';
CREATE INDEX keys_ending ON keys (ends) WHERE state = 'approved';

-- Keys whose states change with their use are few.
CREATE INDEX keys_in_use ON keys (state) WHERE state NOT IN ('seen', 'approved', 'retired');

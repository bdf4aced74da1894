-- Each certificate of a key asks what people and the configuration granted it: few rows, where
-- rules may have granted it to very many hosts.
CREATE INDEX grants_by_people ON grants (key, pattern) WHERE source <> 'rule';

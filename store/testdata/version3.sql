-- Rows as version 3 of the schema has them, besides those of version 2: an approved
-- key, what servers serve, an event that was never taken, and one that waits.
UPDATE keys SET state = 'approved' WHERE seq = 1;
INSERT INTO grants VALUES (1, 'api.example.com', 'person', 'ada', 1763660000000, 'ours');
INSERT INTO grants VALUES (1, '*.example.com', 'policy', 'policy', 1763660000001, 'a rule');
INSERT INTO served VALUES ('api.example.com', 'api.example.com:443', '192.0.2.1:443', zeroblob(32), x'01',
  unhex('d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2'),
  1, zeroblob(32), 'ECDSA P-256', 'api.example.com', 1, NULL, NULL, 1763660005000, 1763660009000, '');
INSERT INTO served SELECT host, target, '192.0.2.2:443', leaf_hash, leaf, chain, open, certificate, algorithm, common_name, named,
  not_before, not_after, 1763660003000, at, last_error FROM served;
INSERT INTO served SELECT 'www.example.com', target, address, leaf_hash, leaf, zeroblob(64), open, certificate, algorithm, common_name, named,
  not_before, not_after, since, at, last_error FROM served WHERE address = '192.0.2.2:443';
INSERT INTO served SELECT host, 'other:443', address, leaf_hash, leaf, x'', open, certificate, algorithm, common_name, named,
  not_before, not_after, since, at, last_error FROM served WHERE address = '192.0.2.1:443';
INSERT INTO dead_letters SELECT 'stdout', 1, event, 'too large', 1763660004000 FROM outbox WHERE seq = 2;

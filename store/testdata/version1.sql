-- Rows as version 1 of the schema has them.
INSERT INTO logs (seq, id, name, operator, kind, state, url, submission_url, key, started, epoch, position, verified_size, verified_range, tree_size)
VALUES (1, unhex('a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1'), 'Lab', 'Lab', 'static', 'usable',
  'https://log.example/', '', x'30', 1, 1, 5, 4, unhex('b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1'), 5);
INSERT INTO certificates (seq, id, first_seen, verdict, reasons, serial, names, ip_addresses, subject, not_before, not_after,
  issuer_name, issuer_pin, issuer_caa, key_algorithm, key_pin, certificate, precertificate, problems)
VALUES (1, unhex('c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1'), 1763640000000, 'unreviewed', '[]', '2a',
  '["api.example.com"]', '[]', 'CN=api.example.com', 1763600000000, NULL, 'CN=CA', NULL, '', 'ECDSA P-256',
  unhex('d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1'), NULL, NULL, '[]');
INSERT INTO ders VALUES (1, x'30', NULL, NULL);
INSERT INTO matches VALUES (1, 0, '.example.com', 'api.example.com', 'example.com');
INSERT INTO sightings VALUES (1, 1, 3, unhex('e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1'), 1763640000000, 'precertificate', 1, 1);
INSERT INTO keys VALUES (1, unhex('d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1'), 'leaf', 'ECDSA P-256', 'seen',
  1763640000000, 1763640000000, 'log', 'first seen in Lab entry 3');
INSERT INTO key_domains VALUES (1, 'example.com');
INSERT INTO outbox VALUES (1, 'one', 1763640000000, '{"specversion":"1.0","id":"one","type":"certificate.issued","source":"/ctwatch","subject":"example.com","time":"2025-11-20T12:00:00Z","data":{"severity":"info","summary":""}}');
INSERT INTO outbox VALUES (2, 'two', 1763640000000, '{"specversion":"1.0","id":"two","type":"pin.candidate","source":"/ctwatch","subject":"example.com","time":"2025-11-20T12:00:00Z","data":{"severity":"warning","summary":""}}');
INSERT INTO senders VALUES ('stdout', 1763640000000, 1, NULL, '', 0);

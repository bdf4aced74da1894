-- Rows as version 2 of the schema has them, besides those of version 1: a key of an
-- issuer that was seen.
INSERT INTO keys VALUES (2, unhex('d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2'), 'issuer', '', 'seen',
  1763650000000, 1763650000000, 'log', 'first seen in Lab entry 4');

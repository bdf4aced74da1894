-- What is wrong with a sender's service though it takes events, by a code of the sender.
CREATE TABLE sender_warnings (
  sender TEXT NOT NULL,
  code   TEXT NOT NULL,
  text   TEXT NOT NULL, -- the newest
  since  INTEGER NOT NULL,
  at     INTEGER NOT NULL, -- of the newest
  times  INTEGER NOT NULL, -- how often
  PRIMARY KEY (sender, code)
) STRICT, WITHOUT ROWID;

-- Who did what to which thing; appended only.
CREATE TABLE audit (
  no     INTEGER PRIMARY KEY AUTOINCREMENT,
  at     INTEGER NOT NULL,
  actor  TEXT    NOT NULL,
  action TEXT    NOT NULL,
  target TEXT    NOT NULL,
  detail TEXT    NOT NULL -- JSON object
) STRICT;

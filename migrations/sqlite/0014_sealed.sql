-- What a light said on a day (of UTC, counted from 1970-01-01) that is over, packed into one block. Led by the light, whose days
-- are read together.
CREATE TABLE sealed_readings (
  light_no INTEGER NOT NULL,
  day      INTEGER NOT NULL,
  revision INTEGER NOT NULL, -- 1, and one more with every change
  readings INTEGER NOT NULL,
  body     BLOB    NOT NULL,
  PRIMARY KEY (light_no, day)
) STRICT, WITHOUT ROWID;

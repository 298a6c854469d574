-- What the quarters of an hour of a light's day (of UTC) came to. It stays when the readings go to the archive. Two tables, because sums over
-- a city read the ledgers of many lights and nothing of what was measured.
CREATE TABLE rollup_ledgers (
  light_no INTEGER NOT NULL,
  day      INTEGER NOT NULL,
  body     BLOB    NOT NULL,
  PRIMARY KEY (light_no, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_measures (
  light_no INTEGER NOT NULL,
  day      INTEGER NOT NULL,
  body     BLOB    NOT NULL,
  PRIMARY KEY (light_no, day)
) STRICT, WITHOUT ROWID;

-- Days whose blocks are there and whose quarters are still to be worked out.
CREATE TABLE unrolled_days (
  light_no INTEGER NOT NULL,
  day      INTEGER NOT NULL,
  PRIMARY KEY (light_no, day)
) STRICT, WITHOUT ROWID;

INSERT INTO unrolled_days (light_no, day) SELECT light_no, day FROM sealed_readings;

-- What the quarters of an hour of a light's day (of UTC) came to. It stays when the readings go to the archive. Two tables, because sums over
-- a city read the ledgers of many lights and nothing of what was measured.
CREATE TABLE rollup_ledgers (
  light_no BIGINT  NOT NULL,
  day      INTEGER NOT NULL,
  body     BYTEA   NOT NULL,
  PRIMARY KEY (light_no, day)
);

CREATE TABLE rollup_measures (
  light_no BIGINT  NOT NULL,
  day      INTEGER NOT NULL,
  body     BYTEA   NOT NULL,
  PRIMARY KEY (light_no, day)
);

-- Days whose blocks are there and whose quarters are still to be worked out.
CREATE TABLE unrolled_days (
  light_no BIGINT  NOT NULL,
  day      INTEGER NOT NULL,
  PRIMARY KEY (light_no, day)
);

INSERT INTO unrolled_days (light_no, day) SELECT light_no, day FROM sealed_readings;

-- What days (of UTC) came to, of all lights of a part (number / 1024) in one body: months of a city are summed from these, and not from the
-- quarters of an hour. Every change of what quarters came to raises the revision and takes the body away until it is worked out anew.
CREATE TABLE rollup_days (
  day      INTEGER NOT NULL,
  part     INTEGER NOT NULL,
  revision BIGINT  NOT NULL,
  body     BYTEA,
  PRIMARY KEY (day, part)
);

CREATE INDEX rollup_days_open ON rollup_days (day, part) WHERE body IS NULL;

INSERT INTO rollup_days (day, part, revision) SELECT DISTINCT day, (light_no / 1024)::integer, 1 FROM rollup_ledgers;

-- The hot log is kept as it was written: one row for each flush, whose readings are packed together, column by column, as integers in
-- fixed point. A row for each reading with an index over it cost twice the room and most of the time of storing it.
--
-- Readings whose clock is suspect, which are looked for by their arrival, are few and stay rows of their own; so do those of
-- before, until they are sealed.
ALTER TABLE energy_parameters RENAME TO loose_readings;
DROP INDEX energy_parameters_once;
DROP INDEX energy_parameters_suspect;
CREATE UNIQUE INDEX loose_readings_once ON loose_readings (reported_at, light_no, dedupe);
CREATE INDEX loose_readings_suspect ON loose_readings (light_no, reported_at + delay_ms) WHERE flags & 4096 <> 0;

CREATE TABLE energy_parameters (
  -- The log position of its last reading. It grows and is never used twice, also not by a loose reading.
  id       INTEGER PRIMARY KEY,
  -- How many readings are left in it.
  readings INTEGER NOT NULL,
  -- The earliest time of theirs, and from there to the latest.
  first_at INTEGER NOT NULL,
  span_ms  INTEGER NOT NULL,
  -- A bit for each reading that is sealed and no longer here; NULL while none is.
  gone     BLOB,
  -- The earliest time when it was packed, which `body` counts from; NULL while it is `first_at`.
  base_at  INTEGER,
  body     BLOB NOT NULL
) STRICT;

-- Where the last reading of each light is, a page for every 1,024 lights: ten bytes each.
CREATE TABLE log_heads (
  page INTEGER PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;

-- One row: a position that was given and whose reading may be gone, and the position up to which log_heads is complete.
CREATE TABLE log_end (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  position INTEGER NOT NULL,
  heads_at INTEGER NOT NULL
) STRICT;

INSERT INTO log_end (one, position, heads_at)
  SELECT 1, coalesce(max(seq), 0), coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'loose_readings';

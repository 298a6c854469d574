-- Days (of UTC, counted from 1970-01-01) whose readings are in a file outside the database.
CREATE TABLE archived_days (
  day          INTEGER NOT NULL PRIMARY KEY,
  revision     INTEGER NOT NULL, -- 1, and one more with every file that took the place of another
  file         TEXT    NOT NULL,
  readings     INTEGER NOT NULL,
  lights       INTEGER NOT NULL,
  bytes        INTEGER NOT NULL,
  sha256       BLOB    NOT NULL,
  footer_bytes INTEGER NOT NULL, -- the end of the file that says what is in it, and its checksum
  footer_crc   INTEGER NOT NULL,
  archived_at  INTEGER NOT NULL,
  kept_until   INTEGER,          -- its blocks are wanted until then
  restored     INTEGER NOT NULL DEFAULT 0 -- the blocks have everything that is in the file
) STRICT;

-- Blocks are archived by the day; their own key is led by the light.
CREATE INDEX sealed_readings_of_day ON sealed_readings (day);

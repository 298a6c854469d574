-- Days (of UTC, counted from 1970-01-01) whose readings are in a file outside the database.
CREATE TABLE archived_days (
  day          INTEGER     NOT NULL PRIMARY KEY,
  revision     BIGINT      NOT NULL, -- 1, and one more with every file that took the place of another
  file         TEXT        NOT NULL,
  readings     BIGINT      NOT NULL,
  lights       BIGINT      NOT NULL,
  bytes        BIGINT      NOT NULL,
  sha256       BYTEA       NOT NULL,
  footer_bytes BIGINT      NOT NULL, -- the end of the file that says what is in it, and its checksum
  footer_crc   BIGINT      NOT NULL,
  archived_at  TIMESTAMPTZ NOT NULL,
  kept_until   TIMESTAMPTZ,          -- its blocks are wanted until then
  restored     BOOLEAN     NOT NULL DEFAULT FALSE -- the blocks have everything that is in the file
);

-- Blocks are archived by the day; their own key is led by the light.
CREATE INDEX sealed_readings_of_day ON sealed_readings (day, light_no);

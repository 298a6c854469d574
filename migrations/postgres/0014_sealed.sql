-- What a light said on a day (of UTC, counted from 1970-01-01) that is over, packed into one block.
CREATE TABLE sealed_readings (
  light_no BIGINT  NOT NULL,
  day      INTEGER NOT NULL,
  revision BIGINT  NOT NULL, -- 1, and one more with every change
  readings BIGINT  NOT NULL,
  body     BYTEA   NOT NULL,
  PRIMARY KEY (light_no, day)
);

-- Packed already.
ALTER TABLE sealed_readings ALTER COLUMN body SET STORAGE EXTERNAL;

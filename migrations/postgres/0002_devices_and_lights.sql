-- Controllers, with what they say of themselves (reported_*), and lights, with what people curated. The program counts
-- `no` itself, under a lock: a sequence would leave gaps, and everything kept per light is indexed by these numbers.
CREATE TABLE devices (
  no                            BIGINT           PRIMARY KEY,
  id                            TEXT             NOT NULL UNIQUE,
  state                         TEXT             NOT NULL,
  epoch                         BIGINT           NOT NULL DEFAULT 0,
  created_at                    TIMESTAMPTZ      NOT NULL,
  claim_until                   TIMESTAMPTZ,
  claimed_at                    TIMESTAMPTZ,
  attempts                      BIGINT           NOT NULL DEFAULT 0,
  first_attempt_at              TIMESTAMPTZ,
  last_attempt_at               TIMESTAMPTZ,
  reported_device_type          TEXT,
  reported_name                 TEXT,
  reported_city                 TEXT,
  reported_address              TEXT,
  reported_latitude             DOUBLE PRECISION,
  reported_longitude            DOUBLE PRECISION,
  reported_gsm_imei             TEXT,
  reported_communication_type   TEXT,
  reported_firmware_version     TEXT,
  reported_battery_backup_hours DOUBLE PRECISION
);

-- Devices that wait for a person.
CREATE INDEX devices_waiting ON devices (last_attempt_at)
  WHERE attempts > 0 AND state IN ('pending', 'registered');

CREATE TABLE lights (
  no         BIGINT           PRIMARY KEY,
  id         TEXT             NOT NULL UNIQUE,
  -- The n of an id `SLn`, so that the next free number is found without a scan.
  numbered   BIGINT,
  device_no  BIGINT           REFERENCES devices (no),
  name       TEXT             NOT NULL,
  address    TEXT             NOT NULL,
  city       TEXT             NOT NULL,
  latitude   DOUBLE PRECISION NOT NULL,
  longitude  DOUBLE PRECISION NOT NULL,
  created_at TIMESTAMPTZ      NOT NULL
);

CREATE INDEX lights_numbered ON lights (numbered) WHERE numbered IS NOT NULL;
CREATE INDEX lights_device_no ON lights (device_no);

-- Controllers, with what they say of themselves (reported_*), and lights, with what people curated.
CREATE TABLE devices (
  no                            INTEGER PRIMARY KEY AUTOINCREMENT,
  id                            TEXT    NOT NULL UNIQUE,
  state                         TEXT    NOT NULL,
  epoch                         INTEGER NOT NULL DEFAULT 0,
  created_at                    INTEGER NOT NULL,
  claim_until                   INTEGER,
  claimed_at                    INTEGER,
  attempts                      INTEGER NOT NULL DEFAULT 0,
  first_attempt_at              INTEGER,
  last_attempt_at               INTEGER,
  reported_device_type          TEXT,
  reported_name                 TEXT,
  reported_city                 TEXT,
  reported_address              TEXT,
  reported_latitude             REAL,
  reported_longitude            REAL,
  reported_gsm_imei             TEXT,
  reported_communication_type   TEXT,
  reported_firmware_version     TEXT,
  reported_battery_backup_hours REAL
) STRICT;

-- Devices that wait for a person.
CREATE INDEX devices_waiting ON devices (last_attempt_at)
  WHERE attempts > 0 AND state IN ('pending', 'registered');

CREATE TABLE lights (
  no         INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT    NOT NULL UNIQUE,
  -- The n of an id `SLn`, so that the next free number is found without a scan.
  numbered   INTEGER,
  device_no  INTEGER REFERENCES devices (no),
  name       TEXT    NOT NULL,
  address    TEXT    NOT NULL,
  city       TEXT    NOT NULL,
  latitude   REAL    NOT NULL,
  longitude  REAL    NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX lights_numbered ON lights (numbered) WHERE numbered IS NOT NULL;
CREATE INDEX lights_device_no ON lights (device_no);

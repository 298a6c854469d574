-- What devices hand in beside readings. Each device keeps a bounded number of log texts and of unreadable messages.
CREATE TABLE device_logs (
  no        INTEGER PRIMARY KEY AUTOINCREMENT,
  device_no INTEGER NOT NULL REFERENCES devices (no),
  at        INTEGER NOT NULL,
  text      TEXT    NOT NULL
) STRICT;

CREATE INDEX device_logs_of_device ON device_logs (device_no, no);

CREATE TABLE quarantine (
  no        INTEGER PRIMARY KEY AUTOINCREMENT,
  device_no INTEGER NOT NULL REFERENCES devices (no),
  at        INTEGER NOT NULL,
  reason    TEXT    NOT NULL,
  raw       TEXT    NOT NULL
) STRICT;

CREATE INDEX quarantine_of_device ON quarantine (device_no, no);

CREATE TABLE firmware_reports (
  device_no        INTEGER PRIMARY KEY REFERENCES devices (no),
  at               INTEGER NOT NULL,
  version          TEXT,
  state            TEXT,
  progress_percent INTEGER,
  message          TEXT
) STRICT;

-- Readings whose clock was suspect (bit 12 of flags) are looked for by time of arrival. They are few, so this index can
-- afford to be led by the light.
CREATE INDEX energy_parameters_suspect ON energy_parameters (light_no, reported_at + delay_ms)
  WHERE flags & 4096 <> 0;

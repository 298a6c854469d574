-- What devices hand in beside readings. Each device keeps a bounded number of log texts and of unreadable messages.
CREATE TABLE device_logs (
  no        BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device_no BIGINT      NOT NULL REFERENCES devices (no),
  at        TIMESTAMPTZ NOT NULL,
  text      TEXT        NOT NULL
);

CREATE INDEX device_logs_of_device ON device_logs (device_no, no);

CREATE TABLE quarantine (
  no        BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device_no BIGINT      NOT NULL REFERENCES devices (no),
  at        TIMESTAMPTZ NOT NULL,
  reason    TEXT        NOT NULL,
  raw       TEXT        NOT NULL
);

CREATE INDEX quarantine_of_device ON quarantine (device_no, no);

CREATE TABLE firmware_reports (
  device_no        BIGINT      PRIMARY KEY REFERENCES devices (no),
  at               TIMESTAMPTZ NOT NULL,
  version          TEXT,
  state            TEXT,
  progress_percent SMALLINT,
  message          TEXT
);

-- Readings whose clock was suspect (bit 12 of flags) are looked for by time of arrival. They are few, so this index can
-- afford to be led by the light.
CREATE INDEX energy_parameters_suspect ON energy_parameters (light_no, received_at, id) WHERE (flags & 4096) != 0;

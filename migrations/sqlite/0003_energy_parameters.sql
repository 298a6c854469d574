-- The hot log: every status of every light in order of arrival, appended and never changed. `id` is the log position;
-- AUTOINCREMENT keeps a number from being used twice. Values are fixed-point integers in the unit that ends the name
-- (dc, dv, dw: tenths; chz: hundredths). No foreign keys: a light and its device exist before a row of theirs is written.
CREATE TABLE energy_parameters (
  id                 INTEGER PRIMARY KEY AUTOINCREMENT,
  light_no           INTEGER NOT NULL,
  device_no          INTEGER NOT NULL,
  -- The device's time, or that of arrival when it had none.
  reported_at        INTEGER NOT NULL,
  -- Time of arrival - reported_at. Mostly small, and so four bytes shorter than the time itself.
  delay_ms           INTEGER NOT NULL,
  -- Tells a repeated message from a new one of the same time: the device's message number, or below zero a hash.
  dedupe             INTEGER NOT NULL,
  power_state        INTEGER, -- 0 off, 1 on
  brightness_percent INTEGER,
  temperature_dc     INTEGER,
  battery_percent    INTEGER,
  signal_percent     INTEGER,
  uptime_s           INTEGER,
  voltage_dv         INTEGER,
  current_ma         INTEGER,
  power_dw           INTEGER,
  frequency_chz      INTEGER,
  energy_wh          INTEGER,
  error_flags        TEXT,    -- JSON array of texts, NULL when there are none
  flags              INTEGER NOT NULL -- what was wrong with the reading, one bit each
) STRICT;

-- The only index, and time leads it, so that new entries stay at its right edge. An index led by the light would write
-- one random page per reading: 3.5 KB instead of 70 bytes at 100,000 lights.
CREATE UNIQUE INDEX energy_parameters_once ON energy_parameters (reported_at, light_no, dedupe);

-- The checkpoint: the latest state of each light, as of a log position.
CREATE TABLE light_state (
  light_no            INTEGER PRIMARY KEY,
  last_contact        INTEGER NOT NULL,
  promised_interval_s INTEGER NOT NULL,
  -- From here on the last reading; all NULL when there never was one.
  device_no           INTEGER,
  reported_at         INTEGER,
  delay_ms            INTEGER,
  dedupe              INTEGER,
  power_state         INTEGER,
  brightness_percent  INTEGER,
  temperature_dc      INTEGER,
  battery_percent     INTEGER,
  signal_percent      INTEGER,
  uptime_s            INTEGER,
  voltage_dv          INTEGER,
  current_ma          INTEGER,
  power_dw            INTEGER,
  frequency_chz       INTEGER,
  energy_wh           INTEGER,
  error_flags         TEXT,
  flags               INTEGER
) STRICT;

-- One row: the log position that light_state includes.
CREATE TABLE checkpoint (
  one          INTEGER PRIMARY KEY CHECK (one = 1),
  log_position INTEGER NOT NULL
) STRICT;

INSERT INTO checkpoint (one, log_position) VALUES (1, 0);

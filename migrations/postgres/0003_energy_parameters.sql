-- The hot log: every status of every light in order of arrival, appended and never changed. `id` is the log position.
-- Values are fixed-point integers in the unit that ends the name (dc, dv, dw: tenths; chz: hundredths). Wide columns come
-- first, so that no padding is stored. No foreign keys: a light and its device exist before a row of theirs is written.
CREATE TABLE energy_parameters (
  id                 BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  light_no           BIGINT      NOT NULL,
  device_no          BIGINT      NOT NULL,
  -- The device's time, or that of arrival when it had none.
  reported_at        TIMESTAMPTZ NOT NULL,
  received_at        TIMESTAMPTZ NOT NULL,
  -- Tells a repeated message from a new one of the same time: the device's message number, or below zero a hash.
  dedupe             BIGINT      NOT NULL,
  energy_wh          BIGINT,
  uptime_s           BIGINT,
  current_ma         BIGINT,
  power_dw           BIGINT,
  voltage_dv         INTEGER,
  frequency_chz      INTEGER,
  flags              INTEGER     NOT NULL, -- what was wrong with the reading, one bit each
  temperature_dc     SMALLINT,
  power_state        SMALLINT,             -- 0 off, 1 on
  brightness_percent SMALLINT,
  battery_percent    SMALLINT,
  signal_percent     SMALLINT,
  error_flags        JSON                  -- array of texts, NULL when there are none
);

-- Time leads the index, so that new entries stay at its right edge; an index led by the light would write one random
-- page per reading.
CREATE UNIQUE INDEX energy_parameters_once ON energy_parameters (reported_at, light_no, dedupe);

-- The checkpoint: the latest state of each light, as of a log position.
CREATE TABLE light_state (
  light_no            BIGINT      PRIMARY KEY,
  last_contact        TIMESTAMPTZ NOT NULL,
  promised_interval_s BIGINT      NOT NULL,
  -- From here on the last reading; all NULL when there never was one.
  device_no           BIGINT,
  reported_at         TIMESTAMPTZ,
  received_at         TIMESTAMPTZ,
  dedupe              BIGINT,
  energy_wh           BIGINT,
  uptime_s            BIGINT,
  current_ma          BIGINT,
  power_dw            BIGINT,
  voltage_dv          INTEGER,
  frequency_chz       INTEGER,
  flags               INTEGER,
  temperature_dc      SMALLINT,
  power_state         SMALLINT,
  brightness_percent  SMALLINT,
  battery_percent     SMALLINT,
  signal_percent      SMALLINT,
  error_flags         JSON
);

-- One row: the log position that light_state includes.
CREATE TABLE checkpoint (
  one          INTEGER PRIMARY KEY CHECK (one = 1),
  log_position BIGINT  NOT NULL
);

INSERT INTO checkpoint (one, log_position) VALUES (1, 0);

-- What a device's credentials hang on, and when the server itself was away: its silence is not held against devices.

-- The highest generation of token that was presented: an older one is superseded.
ALTER TABLE devices ADD COLUMN token_used_gen BIGINT NOT NULL DEFAULT 0;
-- A configure without proof gets fresh credentials until here.
ALTER TABLE devices ADD COLUMN reclaim_until TIMESTAMPTZ;

-- One row: when a server was last alive. None before one ever was.
CREATE TABLE server_heartbeat (
  one INTEGER     PRIMARY KEY CHECK (one = 1),
  at  TIMESTAMPTZ NOT NULL
);

CREATE TABLE server_outages (
  no       BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  began_at TIMESTAMPTZ NOT NULL,
  ended_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX server_outages_ended_at ON server_outages (ended_at);

-- What a device's credentials hang on, and when the server itself was away: its silence is not held against devices.

-- The highest generation of token that was presented: an older one is superseded.
ALTER TABLE devices ADD COLUMN token_used_gen INTEGER NOT NULL DEFAULT 0;
-- A configure without proof gets fresh credentials until here.
ALTER TABLE devices ADD COLUMN reclaim_until INTEGER;

-- One row: when the server was last alive. None before it ever was.
CREATE TABLE server_heartbeat (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at  INTEGER NOT NULL
) STRICT;

CREATE TABLE server_outages (
  no       INTEGER PRIMARY KEY AUTOINCREMENT,
  began_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL
) STRICT;

CREATE INDEX server_outages_ended_at ON server_outages (ended_at);

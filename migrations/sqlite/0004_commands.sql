-- What operators asked of lights. `no` is the order of asking where the clock cannot tell.
CREATE TABLE commands (
  no           INTEGER PRIMARY KEY AUTOINCREMENT,
  id           TEXT    NOT NULL UNIQUE,
  light_no     INTEGER NOT NULL REFERENCES lights (no),
  device_no    INTEGER NOT NULL REFERENCES devices (no),
  command_type TEXT    NOT NULL,
  kind         TEXT    NOT NULL, -- JSON: the type with its parameter
  priority     TEXT    NOT NULL,
  state        TEXT    NOT NULL,
  requested_by TEXT    NOT NULL,
  requested_at INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL,
  delivered_at INTEGER,
  finished_at  INTEGER,
  executed_at  INTEGER,
  detail       TEXT
) STRICT;

-- At most one command per light and type is alive; also the way to all that are.
CREATE UNIQUE INDEX commands_live ON commands (light_no, command_type)
  WHERE state IN ('queued', 'delivered', 'unverified');
CREATE INDEX commands_of_light ON commands (light_no, requested_at);

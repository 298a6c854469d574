-- What is wrong and wants a person's eye. The same again counts on the row that is there until it is resolved.
CREATE TABLE alerts (
  no        INTEGER PRIMARY KEY AUTOINCREMENT,
  device_no INTEGER REFERENCES devices (no),
  light_no  INTEGER REFERENCES lights (no),
  kind      TEXT    NOT NULL,
  severity  TEXT    NOT NULL, -- info, warning, critical
  state     TEXT    NOT NULL, -- open, acknowledged, resolved
  message   TEXT    NOT NULL,
  detail    TEXT    NOT NULL, -- JSON
  opened_at INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  count     INTEGER NOT NULL DEFAULT 1,
  moved_by  TEXT,
  moved_at  INTEGER
) STRICT;

-- At most one that is not resolved per device, light and kind. Numbers begin at 1, so that 0 can stand for none: NULLs
-- never equal each other.
CREATE UNIQUE INDEX alerts_unresolved ON alerts (kind, ifnull(device_no, 0), ifnull(light_no, 0))
  WHERE state <> 'resolved';
-- Each also gives the order of the list.
CREATE INDEX alerts_of_device ON alerts (device_no, no);
CREATE INDEX alerts_of_light ON alerts (light_no, no);
CREATE INDEX alerts_of_state ON alerts (state, no);

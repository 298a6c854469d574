-- What is wrong and wants a person's eye. The same again counts on the row that is there until it is resolved.
CREATE TABLE alerts (
  no        BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device_no BIGINT      REFERENCES devices (no),
  light_no  BIGINT      REFERENCES lights (no),
  kind      TEXT        NOT NULL,
  severity  TEXT        NOT NULL, -- info, warning, critical
  state     TEXT        NOT NULL, -- open, acknowledged, resolved
  message   TEXT        NOT NULL,
  detail    JSON        NOT NULL,
  opened_at TIMESTAMPTZ NOT NULL,
  last_at   TIMESTAMPTZ NOT NULL,
  count     BIGINT      NOT NULL DEFAULT 1,
  moved_by  TEXT,
  moved_at  TIMESTAMPTZ
);

-- At most one that is not resolved per device, light and kind. Numbers begin at 1, so that 0 can stand for none: NULLs
-- never equal each other.
CREATE UNIQUE INDEX alerts_unresolved ON alerts (kind, coalesce(device_no, 0), coalesce(light_no, 0))
  WHERE state <> 'resolved';
-- Each also gives the order of the list.
CREATE INDEX alerts_of_device ON alerts (device_no, no);
CREATE INDEX alerts_of_light ON alerts (light_no, no);
CREATE INDEX alerts_of_state ON alerts (state, no);

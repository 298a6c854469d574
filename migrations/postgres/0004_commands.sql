-- What operators asked of lights. `no` is the order of asking where the clock cannot tell.
CREATE TABLE commands (
  no           BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id           TEXT        NOT NULL UNIQUE,
  light_no     BIGINT      NOT NULL REFERENCES lights (no),
  device_no    BIGINT      NOT NULL REFERENCES devices (no),
  command_type TEXT        NOT NULL,
  kind         JSON        NOT NULL, -- the type with its parameter
  priority     TEXT        NOT NULL,
  state        TEXT        NOT NULL,
  requested_by TEXT        NOT NULL,
  requested_at TIMESTAMPTZ NOT NULL,
  expires_at   TIMESTAMPTZ NOT NULL,
  delivered_at TIMESTAMPTZ,
  finished_at  TIMESTAMPTZ,
  executed_at  TIMESTAMPTZ,
  detail       TEXT
);

-- At most one command per light and type is alive; also the way to all that are.
CREATE UNIQUE INDEX commands_live ON commands (light_no, command_type)
  WHERE state IN ('queued', 'delivered', 'unverified');
CREATE INDEX commands_of_light ON commands (light_no, requested_at);

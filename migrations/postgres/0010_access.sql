-- Programs that act for the city, answers that may be asked for twice, and where and how people may act.
CREATE TABLE api_keys (
  no         BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       TEXT        NOT NULL,
  scopes     TEXT        NOT NULL, -- joined by commas
  zone       TEXT,
  hash       BYTEA       NOT NULL UNIQUE, -- SHA-256 of the key
  created_at TIMESTAMPTZ NOT NULL,
  revoked_at TIMESTAMPTZ
);

-- The name of a revoked key is free again.
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_at IS NULL;

CREATE TABLE remembered_answers (
  actor   TEXT        NOT NULL,
  key     TEXT        NOT NULL,
  request BYTEA       NOT NULL, -- SHA-256 of what was asked
  status  INTEGER     NOT NULL,
  body    TEXT        NOT NULL,
  at      TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (actor, key)
);

CREATE INDEX remembered_answers_at ON remembered_answers (at);

ALTER TABLE users ADD COLUMN zone TEXT;

-- Whose session it is stands inside its data, which only the program can read. Those that are there could not be ended
-- with their person's others: they end here, and everybody signs in once more.
DELETE FROM sessions;
ALTER TABLE sessions ADD COLUMN user_id BIGINT REFERENCES users (id);
CREATE INDEX sessions_user_id ON sessions (user_id) WHERE user_id IS NOT NULL;

ALTER TABLE commands ADD COLUMN reason TEXT;

-- The way to what still waits for a device whose credentials end.
CREATE INDEX commands_live_of_device ON commands (device_no) WHERE state IN ('queued', 'delivered', 'unverified');

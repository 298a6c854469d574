-- People who sign in, and their sessions.
CREATE TABLE users (
  id            BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email         TEXT        NOT NULL,
  -- The address in lower case by the rules of Unicode, made by the program: lower() depends on the database's locale.
  email_key     TEXT        NOT NULL UNIQUE,
  role          TEXT        NOT NULL,
  password_hash TEXT        NOT NULL,
  created_at    TIMESTAMPTZ NOT NULL
);

CREATE TABLE sessions (
  id         TEXT        PRIMARY KEY,
  data       TEXT        NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX sessions_expires_at ON sessions (expires_at);

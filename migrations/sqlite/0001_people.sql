-- People who sign in, and their sessions. Every instant in this database is epoch milliseconds, UTC.
CREATE TABLE users (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  email         TEXT    NOT NULL,
  -- The address in lower case by the rules of Unicode, made by the program: NOCASE knows only ASCII.
  email_key     TEXT    NOT NULL UNIQUE,
  role          TEXT    NOT NULL,
  password_hash TEXT    NOT NULL,
  created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
  id         TEXT    PRIMARY KEY NOT NULL,
  data       TEXT    NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_expires_at ON sessions (expires_at);

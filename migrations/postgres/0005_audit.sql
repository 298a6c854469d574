-- Who did what to which thing; appended only. JSON and not JSONB: what was written comes back as it was written.
CREATE TABLE audit (
  no     BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at     TIMESTAMPTZ NOT NULL,
  actor  TEXT        NOT NULL,
  action TEXT        NOT NULL,
  target TEXT        NOT NULL,
  detail JSON        NOT NULL
);

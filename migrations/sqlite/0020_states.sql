-- The latest states are kept packed, a page for every 256 lights: a start with 100,000 lights spent a third of its time on their
-- rows. States of before stay in light_state until their page is written.
CREATE TABLE light_states (
  page INTEGER PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;

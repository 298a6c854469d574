-- By what the alerts that a device sent last are recognised, so that one that is sent again is not a new occurrence. Each
-- device keeps a bounded number.
CREATE TABLE alert_messages (
  no        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device_no BIGINT NOT NULL REFERENCES devices (no),
  said      BIGINT NOT NULL,
  UNIQUE (device_no, said)
);

CREATE INDEX alert_messages_of_device ON alert_messages (device_no, no);

-- When an acknowledgement came that nobody proved, by our clock; `executed_at` is what the device says of its own.
ALTER TABLE commands ADD COLUMN unverified_at TIMESTAMPTZ;

-- The way to the few that restart a controller.
CREATE INDEX commands_restarts ON commands (requested_at) WHERE command_type = 'device_reset';

-- A device that goes is looked for among those that commands refer to.
CREATE INDEX commands_of_device ON commands (device_no);

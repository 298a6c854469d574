-- Several server processes on this database: who runs the background jobs, and how each learns what another one changed.

-- One row. It is free when its time is over, by the database's own clock.
CREATE TABLE server_lease (
  one    INTEGER     PRIMARY KEY CHECK (one = 1),
  holder TEXT        NOT NULL,
  until  TIMESTAMPTZ NOT NULL
);

-- Tells on the channel `ccms` which rows a statement changed: who did it, a letter for what, and the numbers of the rows
-- joined by commas, or `*` when they are too many for one notice (8,000 bytes). By triggers, so that nothing that changes
-- these tables can forget to tell, the command line and a person at psql included.
CREATE FUNCTION ccms_tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  numbers TEXT;
BEGIN
  EXECUTE format('SELECT string_agg(DISTINCT %s::text, '','') FROM changed WHERE %s', TG_ARGV[1], TG_ARGV[2])
    INTO numbers;
  IF numbers IS NOT NULL THEN
    IF octet_length(numbers) > 7000 THEN
      numbers := '*';
    END IF;
    PERFORM pg_notify('ccms', current_setting('application_name') || ' ' || TG_ARGV[0] || ' ' || numbers);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER tell_new AFTER INSERT ON commands REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ccms_tell('commands', 'device_no', 'true');
CREATE TRIGGER tell_changed AFTER UPDATE ON commands REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ccms_tell('commands', 'device_no', 'true');

-- Who merely asked to be let in is nobody's memory: anybody can ask.
CREATE TRIGGER tell_new AFTER INSERT ON devices REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ccms_tell('devices', 'no', 'state <> ''pending''');
CREATE TRIGGER tell_changed AFTER UPDATE ON devices REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ccms_tell('devices', 'no', 'state <> ''pending''');

CREATE TRIGGER tell_new AFTER INSERT ON lights REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ccms_tell('lights', 'no', 'true');
CREATE TRIGGER tell_changed AFTER UPDATE ON lights REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ccms_tell('lights', 'no', 'true');

CREATE TRIGGER tell_new AFTER INSERT ON alerts REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ccms_tell('alerts', 'no', 'true');
CREATE TRIGGER tell_changed AFTER UPDATE ON alerts REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION ccms_tell('alerts', 'no', 'true');

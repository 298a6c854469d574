-- Readings whose clock is suspect may become many, and whoever looks for others must not walk past them.
--
-- Those that may be believed when they are sent again, being from the future: 2020-01-01 is the earliest time that is ever believed.
CREATE INDEX loose_readings_ahead ON loose_readings (light_no, reported_at)
  WHERE flags & 4096 <> 0 AND reported_at >= 1577836800000;
-- By arrival, after which they are deleted.
CREATE INDEX loose_readings_arrived ON loose_readings (reported_at + delay_ms) WHERE flags & 4096 <> 0;
-- The others, of an earlier release.
CREATE INDEX loose_readings_believed ON loose_readings (id) WHERE flags & 4096 = 0;

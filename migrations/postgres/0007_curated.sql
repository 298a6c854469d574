-- More of what people keep of a light: where it belongs, and what its lamp is rated at.
ALTER TABLE lights
  ADD COLUMN zone      TEXT NOT NULL DEFAULT '',
  ADD COLUMN ward      TEXT NOT NULL DEFAULT '',
  ADD COLUMN feeder    TEXT NOT NULL DEFAULT '',
  ADD COLUMN pole      TEXT NOT NULL DEFAULT '',
  ADD COLUMN wattage_w DOUBLE PRECISION;

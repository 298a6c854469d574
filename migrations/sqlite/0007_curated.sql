-- More of what people keep of a light: where it belongs, and what its lamp is rated at.
ALTER TABLE lights ADD COLUMN zone TEXT NOT NULL DEFAULT '';
ALTER TABLE lights ADD COLUMN ward TEXT NOT NULL DEFAULT '';
ALTER TABLE lights ADD COLUMN feeder TEXT NOT NULL DEFAULT '';
ALTER TABLE lights ADD COLUMN pole TEXT NOT NULL DEFAULT '';
ALTER TABLE lights ADD COLUMN wattage_w REAL;

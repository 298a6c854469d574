-- Readings whose clock is suspect, by arrival, after which they are deleted. Others have no place in it and cost nothing.
CREATE INDEX energy_parameters_suspect_arrived ON energy_parameters (received_at) WHERE (flags & 4096) != 0;

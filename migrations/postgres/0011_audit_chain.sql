-- SHA-256 over the entry and the hash before it. NULL in entries that are older than the chain. Numbers are drawn and
-- hashes made under one lock of the program, so that both are in one order whoever writes.
ALTER TABLE audit ADD COLUMN hash BYTEA;

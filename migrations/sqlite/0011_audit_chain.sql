-- SHA-256 over the entry and the hash before it. NULL in entries that are older than the chain.
ALTER TABLE audit ADD COLUMN hash BLOB;

-- Several server processes share a PostgreSQL database only: this file has one process, and nothing to tell. The number is
-- here so that both engines count alike.
SELECT 1;

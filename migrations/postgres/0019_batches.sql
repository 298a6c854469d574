-- Packed batches are SQLite's: here readings are rows, which several processes insert at once. The number is here so that both
-- engines count alike.
SELECT 1;

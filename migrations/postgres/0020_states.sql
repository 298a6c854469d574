-- Packed pages of states are SQLite's. The number is here so that both engines count alike.
SELECT 1;

-- What whole days came to is worked out anew: a display that wobbled was counted up again at every end of a quarter of an hour, and whose
-- counter was read was not looked at.
UPDATE rollup_days SET body = NULL, revision = revision + 1 WHERE body IS NOT NULL;

-- In the order of time, not of ids: an entry of a new object comes last among those of its list,
-- so that a commit changes few pages of the index.
DROP INDEX object_acl;
CREATE INDEX object_acl ON object (acl, list) WHERE acl IS NOT NULL;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('object', 'object_acl', '1000000 1000 100');
ANALYZE sqlite_schema;

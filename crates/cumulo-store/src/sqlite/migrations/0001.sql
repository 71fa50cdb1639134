CREATE TABLE metadata (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- No list starts at or before this moment, so that a removed one never repeats a timestamp.
INSERT INTO metadata VALUES ('floor', -9223372036854775808);

CREATE TABLE list (
    id INTEGER PRIMARY KEY,
    parent TEXT NOT NULL,
    resource TEXT NOT NULL,
    last_modified INTEGER NOT NULL,
    live INTEGER NOT NULL,
    UNIQUE (parent, resource)
) STRICT;

-- Clustered in the default order of a listing, so that a page is one scan and a new object comes
-- after all others of its list.
CREATE TABLE object (
    list INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    id TEXT NOT NULL,
    acl INTEGER,
    data TEXT NOT NULL,
    PRIMARY KEY (list, deleted, last_modified)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX object_id ON object (list, id);
CREATE INDEX object_acl ON object (acl, list, id) WHERE acl IS NOT NULL;

-- Access control lists are never changed, only added, because most objects of a list share one.
CREATE TABLE acl (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE access (
    principal TEXT NOT NULL,
    permission TEXT NOT NULL,
    acl INTEGER NOT NULL,
    PRIMARY KEY (principal, permission, acl)
) STRICT, WITHOUT ROWID;

CREATE TABLE membership (
    member TEXT NOT NULL,
    group_uri TEXT NOT NULL,
    PRIMARY KEY (member, group_uri)
) STRICT, WITHOUT ROWID;

CREATE INDEX membership_group ON membership (group_uri);

-- Indexes that were made because queries asked for them; `object_field_<id>` in the schema.
CREATE TABLE field_index (
    id INTEGER PRIMARY KEY,
    list INTEGER NOT NULL,
    path TEXT NOT NULL,
    UNIQUE (list, path)
) STRICT;

-- What the planner is to believe, whatever is stored: lists are long, and few objects of a list
-- have the same value. Plans are then the same on every installation.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('object', 'object', '1000000 10000 10000 1'),
    ('object', 'object_id', '1000000 10000 1'),
    ('object', 'object_acl', '1000000 1000 100 1');
ANALYZE sqlite_schema;

-- The schema of Kinto 26: storage schema 26 and permission schema 2. Names, types, indexes,
-- functions and the trigger are those that Kinto expects, so that both can serve one database.

CREATE FUNCTION as_epoch(ts TIMESTAMP) RETURNS BIGINT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (EXTRACT(EPOCH FROM ts) * 1000)::BIGINT;
END;
$$;

CREATE FUNCTION from_epoch(epoch BIGINT) RETURNS TIMESTAMP LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN TIMESTAMP WITH TIME ZONE 'epoch' + epoch * INTERVAL '1 millisecond';
END;
$$;

CREATE TABLE objects (
    id TEXT COLLATE "C" NOT NULL,
    parent_id TEXT COLLATE "C" NOT NULL,
    resource_name TEXT COLLATE "C" NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    data JSONB NOT NULL DEFAULT '{}'::JSONB,
    deleted BOOLEAN NOT NULL,
    PRIMARY KEY (id, parent_id, resource_name)
);
CREATE UNIQUE INDEX idx_objects_parent_id_resource_name_last_modified
    ON objects (parent_id, resource_name, last_modified DESC);
CREATE INDEX idx_objects_last_modified_epoch ON objects (as_epoch(last_modified));
CREATE INDEX idx_objects_resource_name_parent_id_deleted
    ON objects (resource_name, parent_id, deleted);
CREATE INDEX idx_objects_parent_id_record_last_modified
    ON objects (parent_id, last_modified DESC) WHERE resource_name = 'record';
CREATE INDEX idx_objects_history_userid_and_resourcename
    ON objects ((data -> 'user_id'), (data -> 'resource_name')) WHERE resource_name = 'history';

CREATE TABLE timestamps (
    parent_id TEXT COLLATE "C" NOT NULL,
    resource_name TEXT COLLATE "C" NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    PRIMARY KEY (parent_id, resource_name)
);

-- A row that comes without a timestamp, or with that of its list, gets the clock's, or the next
-- after that of its list if the clock is not beyond it.
CREATE FUNCTION bump_timestamp() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    previous BIGINT;
    current BIGINT;
BEGIN
    SELECT as_epoch(GREATEST(
        (SELECT last_modified FROM objects
          WHERE parent_id = NEW.parent_id AND resource_name = NEW.resource_name
          ORDER BY last_modified DESC LIMIT 1),
        (SELECT last_modified FROM timestamps
          WHERE parent_id = NEW.parent_id AND resource_name = NEW.resource_name)))
      INTO previous;
    IF NEW.last_modified IS NULL OR as_epoch(NEW.last_modified) = previous THEN
        current := as_epoch(clock_timestamp()::TIMESTAMP);
        IF previous >= current THEN
            current := previous + 1;
        END IF;
        NEW.last_modified := from_epoch(current);
    END IF;
    RETURN NEW;
END;
$$;
CREATE TRIGGER tgr_objects_last_modified BEFORE INSERT OR UPDATE OF data ON objects
    FOR EACH ROW EXECUTE PROCEDURE bump_timestamp();

CREATE TABLE user_principals (
    user_id TEXT COLLATE "C",
    principal TEXT,
    PRIMARY KEY (user_id, principal)
);

CREATE TABLE access_control_entries (
    object_id TEXT COLLATE "C",
    permission TEXT,
    principal TEXT,
    PRIMARY KEY (object_id, permission, principal)
);
CREATE INDEX idx_access_control_entries_object_id ON access_control_entries (object_id);
CREATE INDEX idx_access_control_entries_permission ON access_control_entries (permission);
CREATE INDEX idx_access_control_entries_principal ON access_control_entries (principal);

CREATE TABLE IF NOT EXISTS metadata (
    name VARCHAR(128) NOT NULL,
    value VARCHAR(512) NOT NULL
);
INSERT INTO metadata (name, value) VALUES
    ('created_at', now()::TEXT),
    ('storage_schema_version', '26'),
    ('permission_schema_version', '2');

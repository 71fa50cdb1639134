-- What Cumulo adds to the schema of Kinto: whoever writes to a list waits until those who wrote to
-- it before have committed. Without it the timestamps of Kinto's own writes may become visible out
-- of order, and who asks for changes since a moment misses some. Triggers fire in the order of
-- their names: this one before that which chooses the timestamp.
CREATE OR REPLACE FUNCTION cumulo_commit_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(
        hashtextextended(NEW.parent_id || E'\n' || NEW.resource_name, 0));
    RETURN NEW;
END;
$$;
DROP TRIGGER IF EXISTS cumulo_commit_order ON objects;
CREATE TRIGGER cumulo_commit_order BEFORE INSERT OR UPDATE OF data ON objects
    FOR EACH ROW EXECUTE PROCEDURE cumulo_commit_order();

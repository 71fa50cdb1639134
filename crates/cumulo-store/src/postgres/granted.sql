-- What Cumulo adds for the question what somebody may do: history entries, of which every write leaves
-- one, are not in the way.
CREATE INDEX IF NOT EXISTS idx_cumulo_access_control_entries_principal
    ON access_control_entries (principal) WHERE split_part(object_id, '/', 4) <> 'history';

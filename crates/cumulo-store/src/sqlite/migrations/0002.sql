-- Messages that are to be delivered. Ids are made in the order of time, so a new one comes last.
CREATE TABLE message (
    id TEXT PRIMARY KEY,
    queue TEXT NOT NULL,
    created INTEGER NOT NULL,
    -- Null: given up.
    due INTEGER,
    attempts INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX message_due ON message (queue, due);

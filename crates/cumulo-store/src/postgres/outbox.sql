-- What Cumulo adds for event listeners: messages that are to be delivered. Kinto does not look at it.
CREATE TABLE IF NOT EXISTS cumulo_message (
    id TEXT COLLATE "C" PRIMARY KEY,
    queue TEXT NOT NULL,
    -- Milliseconds since 1970.
    created BIGINT NOT NULL,
    -- Null: given up.
    due BIGINT,
    attempts BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_cumulo_message_due ON cumulo_message (queue, due);

-- One row for each tool that was run for a call, or by itself. Both SQLite and PostgreSQL read this.
CREATE TABLE tool_runs (
    call_id TEXT NOT NULL,
    nth BIGINT NOT NULL,
    at BIGINT NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    outcome TEXT NOT NULL,
    sent BIGINT NOT NULL,
    got BIGINT NOT NULL,
    total_us BIGINT NOT NULL,
    PRIMARY KEY (call_id, nth)
);
CREATE INDEX tool_runs_at ON tool_runs (at);

-- By which key a call came, and its owner's words. What was spent by calls that are forgotten is kept as sums, for budgets that never end.
ALTER TABLE calls ADD COLUMN key_id TEXT;
ALTER TABLE calls ADD COLUMN tags TEXT;
CREATE TABLE forgotten (
    subject TEXT NOT NULL PRIMARY KEY,
    cost BIGINT NOT NULL
);
INSERT INTO forgotten (subject, cost) VALUES ('', 0)

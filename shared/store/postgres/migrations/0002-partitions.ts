/**
 * Messages and steps in partitions (docs/decisions/0018): messages by their number, steps by their month. What is there
 * becomes the first partition as it is, and nothing is copied. The tables keep their names, so that older servers go on.
 *
 * A message's id is unique in its partition, and beyond by being random; likewise a step's.
 */

/**
 * How far the first partitions reach: at least one partition of messages, and three months of steps, from now. Set in
 * `meta` to have partitions of another size.
 */
const BOUNDS = `
  size bigint := coalesce((SELECT value::bigint FROM meta WHERE key = 'messages_per_partition'), 16777216);
  month text := to_char(now() AT TIME ZONE 'UTC' + interval '4 months', 'YYYY-MM');
  last bigint;
  bound bigint;`

/** The lock without which nothing is changed; autovacuum gives way to the first, and others do not wait for it. */
const LOCK = `
SET LOCAL lock_timeout = '5s';
LOCK TABLE messages, steps IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '250ms';
LOCK TABLE messages, steps IN ACCESS EXCLUSIVE MODE;`

/**
 * A table is looked through when it becomes a partition, and locked meanwhile, unless a rule says already what that would
 * find. So the rules come first, and are checked while others write. One that is left of an upgrade that failed refuses
 * nothing before the bound is reached; the next upgrade makes it anew.
 */
export const beforePartitions: readonly string[] = [
  `${LOCK}
DO $$ DECLARE ${BOUNDS}
BEGIN
  EXECUTE format('SELECT last_value FROM %s', pg_get_serial_sequence('messages', 'seq')) INTO last;
  bound := (last / size + 2) * size;
  ALTER TABLE messages DROP CONSTRAINT IF EXISTS messages_first;
  ALTER TABLE steps DROP CONSTRAINT IF EXISTS steps_first;
  EXECUTE format('ALTER TABLE messages ADD CONSTRAINT messages_first CHECK (seq < %s) NOT VALID', bound);
  EXECUTE format('ALTER TABLE steps ADD CONSTRAINT steps_first CHECK (created_at < %L) NOT VALID', month);
END $$`,
  'ALTER TABLE messages VALIDATE CONSTRAINT messages_first',
  'ALTER TABLE steps VALIDATE CONSTRAINT steps_first',
]

/** Undoes `beforePartitions`. */
export const withoutPartitions = `${LOCK}
ALTER TABLE messages DROP CONSTRAINT IF EXISTS messages_first;
ALTER TABLE steps DROP CONSTRAINT IF EXISTS steps_first`

export const partitions = `${LOCK}
DO $$ DECLARE ${BOUNDS}
BEGIN
  EXECUTE format('SELECT last_value + is_called::int FROM %s', pg_get_serial_sequence('messages', 'seq')) INTO last;
  -- As far as the rules reach that have been checked; else there is nothing to check yet.
  SELECT substring(pg_get_constraintdef(oid) FROM '< ''?(\\d+)') INTO bound
    FROM pg_constraint WHERE conrelid = 'messages'::regclass AND conname = 'messages_first';
  bound := coalesce(bound, (last / size + 2) * size);
  SELECT coalesce(max(substring(pg_get_constraintdef(oid) FROM '< ''(\\d+-\\d+)''')), month) INTO month
    FROM pg_constraint WHERE conrelid = 'steps'::regclass AND conname = 'steps_first';

  ALTER TABLE messages RENAME TO messages_first;
  ALTER INDEX messages_pkey RENAME TO messages_first_pkey;
  ALTER INDEX messages_id_key RENAME TO messages_first_id_key;
  ALTER INDEX messages_by_agent RENAME TO messages_first_by_agent;
  ALTER INDEX messages_by_conversation RENAME TO messages_first_by_conversation;
  ALTER INDEX messages_by_run RENAME TO messages_first_by_run;
  -- Partitioned tables have identity columns from PostgreSQL 17 on.
  ALTER TABLE messages_first ALTER COLUMN seq DROP IDENTITY;
  CREATE TABLE messages (LIKE messages_first) PARTITION BY RANGE (seq);
  CREATE SEQUENCE messages_seq_seq OWNED BY messages.seq;
  PERFORM setval('messages_seq_seq', last, false);
  ALTER TABLE messages ALTER COLUMN seq SET DEFAULT nextval('messages_seq_seq');
  EXECUTE format('ALTER TABLE messages ATTACH PARTITION messages_first FOR VALUES FROM (MINVALUE) TO (%s)', bound);
  ALTER TABLE messages_first DROP CONSTRAINT IF EXISTS messages_first;
  -- The indexes of the first partition are taken for these: none is built.
  ALTER TABLE messages ADD PRIMARY KEY (seq);
  CREATE INDEX messages_by_agent ON messages (agent_id, seq);
  CREATE INDEX messages_by_conversation ON messages (conversation_id, seq);
  CREATE INDEX messages_by_run ON messages (run_id) WHERE run_id IS NOT NULL;
  CREATE TABLE messages_default PARTITION OF messages DEFAULT;
  ALTER TABLE messages_default ADD UNIQUE (id);

  ALTER TABLE steps RENAME TO steps_first;
  ALTER INDEX steps_pkey RENAME TO steps_first_pkey;
  ALTER INDEX steps_by_creation RENAME TO steps_first_by_creation;
  ALTER INDEX steps_by_run RENAME TO steps_first_by_run;
  ALTER INDEX steps_by_agent RENAME TO steps_first_by_agent;
  CREATE TABLE steps (LIKE steps_first) PARTITION BY RANGE (created_at);
  EXECUTE format('ALTER TABLE steps ATTACH PARTITION steps_first FOR VALUES FROM (MINVALUE) TO (%L)', month);
  ALTER TABLE steps_first DROP CONSTRAINT IF EXISTS steps_first;
  CREATE INDEX steps_by_creation ON steps (organization_id, created_at, id);
  CREATE INDEX steps_by_run ON steps (organization_id, run_id, created_at, id);
  CREATE INDEX steps_by_agent ON steps (organization_id, agent_id, created_at, id);
  CREATE TABLE steps_default PARTITION OF steps DEFAULT;
  ALTER TABLE steps_default ADD PRIMARY KEY (id);
END $$`

-- What a PostgreSQL server (15 or later) needs so that Arbiter can watch it and promote it. Run it as a superuser on the
-- primary, in the database that the group's spec names under `connect`; standbys get it by replication. It may be run
-- again at any time. The role is called "arbiter" here; Arbiter's tools print this file with the name that the spec uses.
-- The role's password is not set here: use \password, a certificate, or pg_hba.conf.

DO $do$
BEGIN
    IF current_setting('server_version_num')::int4 < 150000 THEN
        RAISE EXCEPTION 'PostgreSQL % is too old for Arbiter', current_setting('server_version')
            USING HINT = 'Upgrade to PostgreSQL 15 or later: before it only superusers may ALTER SYSTEM.';
    END IF;
    IF to_regrole('"arbiter"') IS NULL THEN
        CREATE ROLE "arbiter" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
    END IF;
END
$do$;

-- Watching. pg_read_all_stats: the rows of pg_stat_replication and pg_stat_wal_receiver (who streams, who confirms).
-- pg_read_all_settings: primary_conninfo, which a standby must keep when it is pointed at another primary.
GRANT pg_read_all_stats, pg_read_all_settings TO "arbiter";

-- Catching up. pg_ls_waldir: the newest timeline that a standby holds, which nothing else tells once it has stopped
-- receiving.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_waldir() TO "arbiter";

-- Refusing older arbiters (S9). arbiter.epoch is the fencing token: it lives in postgresql.auto.conf of each server, so it
-- is synced to disk, survives restarts and isn't replicated. SET on it is not needed: every role may SET a parameter that the
-- server itself doesn't know, for its own session.
GRANT ALTER SYSTEM ON PARAMETER "arbiter.epoch" TO "arbiter";
-- pg_file_settings: the token as it is on disk, which may be newer than the one in force when an arbiter died between the
-- two. (It also shows other settings; pg_read_all_settings shows those anyway.)
GRANT SELECT ON pg_catalog.pg_file_settings TO "arbiter";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_show_all_file_settings() TO "arbiter";
-- Taking up a token that was written, and the next primary_conninfo.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO "arbiter";

-- Stopping to follow a former primary, and following the next one.
GRANT ALTER SYSTEM ON PARAMETER primary_conninfo TO "arbiter";

-- Promoting.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_promote(boolean, integer) TO "arbiter";

-- Ending sessions: of clients on a primary that is being isolated, and of an arbiter that was frozen while it held the lock
-- under which promotions are asked for.
GRANT pg_signal_backend TO "arbiter";

-- The tables. They hold one row per arbiter, one row, and one row per route.
CREATE SCHEMA IF NOT EXISTS arbiter;
REVOKE ALL ON SCHEMA arbiter FROM PUBLIC;
GRANT USAGE ON SCHEMA arbiter TO "arbiter";

-- Each arbiter proves by a write to its own row that the primary can commit.
CREATE TABLE IF NOT EXISTS arbiter.probe (
    arbiter text PRIMARY KEY,
    beat    bigint NOT NULL DEFAULT 0,
    written timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- The epoch under which the present primary was promoted. A promotion ends with writing it; an older epoch never replaces
-- a newer one.
CREATE TABLE IF NOT EXISTS arbiter.epoch (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch     bigint NOT NULL,
    member    text NOT NULL,
    operation text NOT NULL DEFAULT '',
    written   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Proof that clients reach the new primary: written through the routed address, read on the member itself.
CREATE TABLE IF NOT EXISTS arbiter.route_proof (
    route   text PRIMARY KEY,
    proof   text NOT NULL,
    epoch   bigint NOT NULL,
    written timestamptz NOT NULL DEFAULT clock_timestamp()
);

REVOKE ALL ON ALL TABLES IN SCHEMA arbiter FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON arbiter.probe, arbiter.epoch, arbiter.route_proof TO "arbiter";

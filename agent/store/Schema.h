#pragma once

#include <vector>

namespace agent
{

/// The record's schema as the steps that lead to it: step N brings user_version from N to N+1. A step
/// that was released is never changed.
inline const std::vector<std::vector<const char*>> schemaSteps{
    {
        R"(CREATE TABLE services (
            name TEXT PRIMARY KEY,
            id TEXT NOT NULL UNIQUE
        ) WITHOUT ROWID)",

        R"(CREATE TABLE runs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            started_at INTEGER,
            ended_at INTEGER,
            commit_hash TEXT,
            commit_message TEXT,
            committer TEXT,
            status TEXT NOT NULL,
            trigger_type TEXT NOT NULL,
            service_id TEXT,
            service_name TEXT,
            branch TEXT,
            pull_number INTEGER,
            priority INTEGER NOT NULL,
            pipeline TEXT NOT NULL,
            resumed INTEGER NOT NULL,
            holds_slot INTEGER NOT NULL,
            wants_slot INTEGER NOT NULL,
            stopping INTEGER NOT NULL,
            version INTEGER NOT NULL
        ))",
        "CREATE INDEX runs_by_service ON runs (service_id, seq)",
        "CREATE INDEX runs_not_ended ON runs (seq) WHERE status NOT IN ('SUCCESS', 'FAILURE')",

        R"(CREATE TABLE stages (
            id TEXT PRIMARY KEY,
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            ordinal INTEGER NOT NULL,
            type TEXT NOT NULL,
            name TEXT NOT NULL,
            plugin TEXT NOT NULL,
            status TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            started_at INTEGER,
            ended_at INTEGER,
            cause TEXT,
            exit_code INTEGER,
            signal INTEGER,
            message TEXT,
            containment TEXT,
            notes TEXT,
            log_bytes INTEGER NOT NULL,
            cpu_ms INTEGER,
            max_rss_bytes INTEGER,
            read_bytes INTEGER,
            write_bytes INTEGER,
            outputs TEXT,
            approved INTEGER NOT NULL,
            started_corrected INTEGER NOT NULL,
            intent TEXT,
            intent_actor TEXT,
            intent_reason TEXT,
            intent_started_at INTEGER,
            intent_ended_at INTEGER,
            retry_at INTEGER,
            stuck_since INTEGER,
            version INTEGER NOT NULL,
            UNIQUE (run_id, ordinal)
        ) WITHOUT ROWID)",

        R"(CREATE TABLE history (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            at INTEGER NOT NULL,
            run_id TEXT NOT NULL,
            stage_id TEXT,
            actor TEXT NOT NULL,
            from_status TEXT,
            to_status TEXT,
            cause TEXT,
            reason TEXT,
            attempt INTEGER NOT NULL
        ))",
        "CREATE INDEX history_by_stage ON history (stage_id, seq)",
        "CREATE INDEX history_by_run ON history (run_id, seq)",

        R"(CREATE TABLE idempotency (
            key TEXT PRIMARY KEY,
            body_hash TEXT NOT NULL,
            run_id TEXT NOT NULL,
            created_at INTEGER NOT NULL
        ) WITHOUT ROWID)",
    },
    {
        "ALTER TABLE stages ADD COLUMN stuck_why TEXT",
        "CREATE INDEX stages_stuck ON stages (stuck_since) WHERE stuck_since IS NOT NULL",
        // What retention goes through, and the entries about deletions.
        "CREATE INDEX runs_ended ON runs (ended_at, id) WHERE ended_at IS NOT NULL",
        "CREATE INDEX stages_ended ON stages (updated_at, id) WHERE ended_at IS NOT NULL",
        R"(CREATE INDEX history_deletions ON history (at)
            WHERE to_status IS NULL AND stage_id IS NULL)",
        "ALTER TABLE stages ADD COLUMN limits_missing TEXT",

        // The ends of attempts that another one followed; the last one's stands with its stage.
        R"(CREATE TABLE attempts (
            stage_id TEXT NOT NULL REFERENCES stages (id) ON DELETE CASCADE,
            attempt INTEGER NOT NULL,
            status TEXT NOT NULL,
            started_at INTEGER,
            ended_at INTEGER,
            cause TEXT,
            exit_code INTEGER,
            signal INTEGER,
            message TEXT,
            containment TEXT,
            limits_missing TEXT,
            notes TEXT,
            log_bytes INTEGER NOT NULL,
            cpu_ms INTEGER,
            max_rss_bytes INTEGER,
            read_bytes INTEGER,
            write_bytes INTEGER,
            PRIMARY KEY (stage_id, attempt)
        ) WITHOUT ROWID)",
    },
    {
        // Lists by status are a lookup, also of a status that no run has.
        "CREATE INDEX runs_by_status ON runs (status, seq)",
        "CREATE INDEX runs_by_service_status ON runs (service_id, status, seq)",
        "CREATE INDEX idempotency_by_age ON idempotency (created_at)",

        // The boot in which an attempt was launched, and whether its files are on disk (Sync).
        "ALTER TABLE stages ADD COLUMN boot_id TEXT",
        "ALTER TABLE stages ADD COLUMN synced INTEGER",
        "ALTER TABLE attempts ADD COLUMN boot_id TEXT",
        "ALTER TABLE attempts ADD COLUMN synced INTEGER",
        "CREATE INDEX stages_to_sync ON stages (id) WHERE synced = 0",
        "CREATE INDEX attempts_to_sync ON attempts (stage_id, attempt) WHERE synced = 0",

        // How many runs have ended, kept by the transactions that end and remove them.
        "CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        R"(INSERT INTO counts
            SELECT 'ended_runs', COUNT(*) FROM runs WHERE ended_at IS NOT NULL)",
        R"(CREATE TRIGGER ended_run_inserted AFTER INSERT ON runs WHEN NEW.ended_at IS NOT NULL
            BEGIN UPDATE counts SET value = value + 1 WHERE name = 'ended_runs'; END)",
        R"(CREATE TRIGGER ended_run_updated AFTER UPDATE OF ended_at ON runs
            WHEN (OLD.ended_at IS NULL) <> (NEW.ended_at IS NULL)
            BEGIN UPDATE counts SET value = value + iif(NEW.ended_at IS NULL, -1, 1)
                WHERE name = 'ended_runs'; END)",
        R"(CREATE TRIGGER ended_run_deleted AFTER DELETE ON runs WHEN OLD.ended_at IS NOT NULL
            BEGIN UPDATE counts SET value = value - 1 WHERE name = 'ended_runs'; END)",
    },
    {
        // Who may use the API; of the secrets, the SHA-256 only.
        R"(CREATE TABLE tokens (
            name TEXT PRIMARY KEY,
            role TEXT NOT NULL,
            services TEXT,
            proxy INTEGER NOT NULL,
            digest TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            expires_at INTEGER,
            last_used_at INTEGER
        ) WITHOUT ROWID)",
    },
    {
        // Proves the files of an attempt that runs (wire/Seal.h); none: launched by a release without it.
        "ALTER TABLE stages ADD COLUMN seal_key TEXT",
        "ALTER TABLE stages ADD COLUMN shim_pid INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE stages ADD COLUMN shim_start INTEGER NOT NULL DEFAULT 0",

        // What an attempt executed.
        "ALTER TABLE stages ADD COLUMN plugin_sha256 TEXT",
        "ALTER TABLE attempts ADD COLUMN plugin_sha256 TEXT",

        // How the processes of an attempt were kept apart from the host.
        "ALTER TABLE stages ADD COLUMN isolation TEXT",
        "ALTER TABLE stages ADD COLUMN network TEXT",
        "ALTER TABLE attempts ADD COLUMN isolation TEXT",
        "ALTER TABLE attempts ADD COLUMN network TEXT",

        // What lists of runs are narrowed by.
        "CREATE INDEX runs_by_branch ON runs (branch, seq) WHERE branch IS NOT NULL",
        "CREATE INDEX runs_by_commit ON runs (commit_hash) WHERE commit_hash IS NOT NULL",
        "CREATE INDEX runs_by_creation ON runs (created_at, seq)",
        // What runs wait for: their place, and the runs of their service that have begun.
        R"(CREATE INDEX runs_waiting ON runs (resumed DESC, priority DESC, seq)
            WHERE wants_slot = 1)",
        R"(CREATE INDEX runs_begun ON runs (service_name, seq)
            WHERE status IN ('IN_PROGRESS', 'AWAITING_APPROVAL'))",
    },
    {
        // Reports that wait for their targets; they stay when their run is removed.
        R"(CREATE TABLE outbox (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            target TEXT NOT NULL,
            run_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            event TEXT NOT NULL,
            at INTEGER NOT NULL,
            body TEXT NOT NULL
        ))",
        "CREATE INDEX outbox_by_target ON outbox (target, seq)",
        R"(CREATE TABLE report_numbers (
            run_id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
            last INTEGER NOT NULL
        ) WITHOUT ROWID)",
    },
    {
        // Holds pages of the file until they are to be free (RecordReserve.h).
        "CREATE TABLE reserve (pages BLOB NOT NULL)",
    },
    {
        // What forges delivered in the last 24 h.
        R"(CREATE TABLE deliveries (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            at INTEGER NOT NULL,
            forge TEXT NOT NULL,
            delivery TEXT NOT NULL,
            event TEXT NOT NULL,
            repository TEXT,
            ref TEXT,
            outcome TEXT,
            run_ids TEXT,
            UNIQUE (forge, delivery)
        ))",
        "CREATE INDEX deliveries_by_age ON deliveries (at)",
    },
    {
        // What clients mark runs with; the table is what a list by label is looked up in.
        "ALTER TABLE runs ADD COLUMN labels TEXT",
        R"(CREATE TABLE run_labels (
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            run_seq INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
            PRIMARY KEY (key, value, run_seq)
        ) WITHOUT ROWID)",
        "CREATE INDEX run_labels_by_run ON run_labels (run_seq)",
        // When a run began, by CLOCK_BOOTTIME.
        "ALTER TABLE runs ADD COLUMN began_boot_id TEXT",
        "ALTER TABLE runs ADD COLUMN began_boot_ms INTEGER NOT NULL DEFAULT 0",
    },
    {
        // Conditions: docs/conditions.md. A run that has failed has not ended before its last stages have.
        "ALTER TABLE runs ADD COLUMN stop_cause TEXT",
        "ALTER TABLE stages ADD COLUMN skipped TEXT",
        "ALTER TABLE stages ADD COLUMN expires_at INTEGER",
        R"(UPDATE runs SET ended_at = updated_at
            WHERE ended_at IS NULL AND status IN ('SUCCESS', 'FAILURE'))",
        "DROP INDEX runs_not_ended",
        "CREATE INDEX runs_open ON runs (seq) WHERE ended_at IS NULL",
        "DROP INDEX runs_begun",
        R"(CREATE INDEX runs_begun ON runs (service_name, seq)
            WHERE ended_at IS NULL AND status <> 'IDLE')",
        // What a new run of the branch may supersede.
        R"(CREATE INDEX runs_open_of_branch ON runs (service_name, branch, seq)
            WHERE ended_at IS NULL)",
    },
    {
        // What an attempt made that is kept, and what its test reports say: docs/artifacts.md.
        "ALTER TABLE stages ADD COLUMN artifact_files INTEGER",
        "ALTER TABLE stages ADD COLUMN artifact_bytes INTEGER",
        "ALTER TABLE stages ADD COLUMN artifact_manifest TEXT",
        "ALTER TABLE stages ADD COLUMN tests_total INTEGER",
        "ALTER TABLE stages ADD COLUMN tests_failed INTEGER",
        "ALTER TABLE stages ADD COLUMN tests_skipped INTEGER",
        "ALTER TABLE attempts ADD COLUMN artifact_files INTEGER",
        "ALTER TABLE attempts ADD COLUMN artifact_bytes INTEGER",
        "ALTER TABLE attempts ADD COLUMN artifact_manifest TEXT",
        "ALTER TABLE attempts ADD COLUMN tests_total INTEGER",
        "ALTER TABLE attempts ADD COLUMN tests_failed INTEGER",
        "ALTER TABLE attempts ADD COLUMN tests_skipped INTEGER",
        // What is in the store, and until when.
        R"(CREATE TABLE artifact_sets (
            stage_id TEXT NOT NULL REFERENCES stages (id) ON DELETE CASCADE,
            attempt INTEGER NOT NULL,
            run_id TEXT NOT NULL,
            service_id TEXT,
            branch TEXT,
            name TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            expires_at INTEGER,
            PRIMARY KEY (stage_id, attempt)
        ) WITHOUT ROWID)",
        R"(CREATE INDEX artifact_sets_by_expiry ON artifact_sets (expires_at)
            WHERE expires_at IS NOT NULL)",
        R"(CREATE INDEX artifact_sets_by_name ON artifact_sets (service_id, branch, name, created_at)
            WHERE service_id IS NOT NULL)",
    },
    {
        // Runs that are kept by hand: they are none of those that retention counts and goes through.
        "ALTER TABLE runs ADD COLUMN kept INTEGER NOT NULL DEFAULT 0",
        R"(CREATE INDEX runs_removable ON runs (ended_at, id)
            WHERE ended_at IS NOT NULL AND kept = 0)",
        "DROP TRIGGER ended_run_inserted",
        "DROP TRIGGER ended_run_updated",
        "DROP TRIGGER ended_run_deleted",
        R"(CREATE TRIGGER ended_run_inserted AFTER INSERT ON runs
            WHEN NEW.ended_at IS NOT NULL AND NEW.kept = 0
            BEGIN UPDATE counts SET value = value + 1 WHERE name = 'ended_runs'; END)",
        R"(CREATE TRIGGER ended_run_updated AFTER UPDATE OF ended_at, kept ON runs
            WHEN (OLD.ended_at IS NOT NULL AND OLD.kept = 0) <> (NEW.ended_at IS NOT NULL AND NEW.kept = 0)
            BEGIN UPDATE counts SET value = value + iif(NEW.ended_at IS NOT NULL AND NEW.kept = 0, 1, -1)
                WHERE name = 'ended_runs'; END)",
        R"(CREATE TRIGGER ended_run_deleted AFTER DELETE ON runs
            WHEN OLD.ended_at IS NOT NULL AND OLD.kept = 0
            BEGIN UPDATE counts SET value = value - 1 WHERE name = 'ended_runs'; END)",
    },
    {
        // What a list of runs says of their stages: the rows of a run's stages are far apart, as their ids are random.
        R"(CREATE INDEX stages_failed ON stages (run_id, ordinal) WHERE status = 'FAILURE')",
        R"(CREATE INDEX stages_with_results ON stages (run_id)
            WHERE tests_total IS NOT NULL OR artifact_files IS NOT NULL)",
    },
    {
        // Workspaces that are kept from one run to the next: docs/workspaces.md.
        R"(CREATE TABLE kept_workspaces (
            run_id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
            path TEXT NOT NULL,
            used INTEGER NOT NULL,
            last INTEGER NOT NULL
        ) WITHOUT ROWID)",
        R"(CREATE UNIQUE INDEX kept_workspaces_by_path ON kept_workspaces (path)
            WHERE last = 1)",
    },
    {
        // What stages take of what other services made: docs/artifacts.md. A set has a service and a branch only where others
        // may have it; until here they were what the run claimed.
        "UPDATE artifact_sets SET service_id = NULL, branch = NULL",
        "ALTER TABLE artifact_sets ADD COLUMN run_seq INTEGER NOT NULL DEFAULT 0",
        "DROP INDEX artifact_sets_by_name",
        R"(CREATE INDEX artifact_sets_offered
            ON artifact_sets (service_id, branch, name, run_seq, created_at)
            WHERE service_id IS NOT NULL)",
        R"(CREATE TABLE taken_sets (
            stage_id TEXT NOT NULL REFERENCES stages (id) ON DELETE CASCADE,
            attempt INTEGER NOT NULL,
            number INTEGER NOT NULL,
            service TEXT NOT NULL,
            branch TEXT NOT NULL,
            name TEXT NOT NULL,
            destination TEXT NOT NULL,
            from_run TEXT NOT NULL,
            from_stage TEXT NOT NULL,
            from_attempt INTEGER NOT NULL,
            from_folder TEXT NOT NULL,
            commit_hash TEXT,
            manifest TEXT NOT NULL,
            files INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            held INTEGER NOT NULL,
            PRIMARY KEY (stage_id, attempt, number)
        ) WITHOUT ROWID)",
        "CREATE INDEX taken_sets_held ON taken_sets (from_run) WHERE held = 1",
    },
};

} // namespace agent

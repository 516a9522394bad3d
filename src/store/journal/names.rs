//! What the journal's files are called.

/// A snapshot in the making; worth nothing until it is renamed.
pub const PART: &str = "snapshot.part";

const LOG: &str = "log-";
const SNAPSHOT: &str = "snapshot-";

/// The changes since the snapshot of the same generation was begun.
pub fn log(generation: u64) -> String {
    format!("{LOG}{generation:016}")
}

/// Everything there was at some moment after its generation's log was begun.
pub fn snapshot(generation: u64) -> String {
    format!("{SNAPSHOT}{generation:016}")
}

pub fn log_generation(name: &str) -> Option<u64> {
    name.strip_prefix(LOG)?.parse().ok()
}

pub fn snapshot_generation(name: &str) -> Option<u64> {
    name.strip_prefix(SNAPSHOT)?.parse().ok()
}

/// The generation of either kind.
pub fn generation(name: &str) -> Option<u64> {
    log_generation(name).or_else(|| snapshot_generation(name))
}

//! What the journal's files are called.

/// A snapshot in the making; worth nothing until it is renamed.
pub const PART: &str = "snapshot.part";

/// Enough for a generation a second over three hundred million years.
const DIGITS: usize = 16;

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
    number(name.strip_prefix(LOG)?)
}

pub fn snapshot_generation(name: &str) -> Option<u64> {
    number(name.strip_prefix(SNAPSHOT)?)
}

/// A generation as we write it, and no other spelling: what reads as one of our names must be one.
fn number(digits: &str) -> Option<u64> {
    let ours = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if ours { digits.parse().ok() } else { None }
}

/// What a file is called from now on that was damaged and is not needed any more.
pub fn damaged(name: &str) -> String {
    format!("damaged-{name}")
}

/// The generation of either kind.
pub fn generation(name: &str) -> Option<u64> {
    log_generation(name).or_else(|| snapshot_generation(name))
}

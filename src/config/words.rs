//! Words that are fixed: what the keys take that know only so many of them. Whoever reads a file
//! and whoever describes the language to an editor take them from here.

pub const ALGORITHMS: [&str; 6] =
    ["fixed_window", "calendar", "sliding_log", "sliding_window", "token_bucket", CONCURRENCY];

pub const CONCURRENCY: &str = "concurrency";

pub const ON_EXCEED: [&str; 4] = ["deny", "allow", "shadow", "queue"];

pub const CHARGE: [&str; 2] = ["admitted", "always"];

pub const DURABILITY: [&str; 2] = ["ordinary", "strict"];

pub const UNMATCHED: [&str; 2] = ["pass", "deny"];

/// Forms of an alert.
pub const FORMS: [&str; 2] = ["plain", "slack"];

/// Styles of headers, the usual one first.
pub const STYLES: [&str; 3] = ["x-ratelimit", "ietf-draft-11", "none"];

/// How headers write the moment at which a limit resets.
pub const RESETS: [&str; 2] = ["unix", "delta"];

/// What bans fall for.
pub const BANS: [&str; 4] = ["refusals", "hits", "spike", "distinct"];

/// Offences beyond this within a span are an attack on the proxy, not on a limit.
pub const BAN_AFTER_MAX: u64 = 1_000_000;

/// Units of windows under `descriptors:`, in any case.
pub const UNITS: [&str; 7] = ["second", "minute", "hour", "day", "week", "month", "year"];

/// How long months are under `descriptors:`.
pub const MONTHS: [&str; 2] = ["30 days", "calendar"];

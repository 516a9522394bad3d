//! How long a call may stand in line for room, and how many others may stand there with it.

/// No call waits longer. A call that waits holds a request, a stream and a place in every proxy on
/// the way; who has more patience than this does better to come back.
pub const WAIT_US_MAX: u32 = 30_000_000;

/// The wait of a limit that names none: long enough to smooth what a client sends in parallel,
/// short enough that people do not notice it.
pub const WAIT_US_USUAL: u32 = 500_000;

/// No line is longer. Each who stands in it looks at all ahead when its turn comes, so the work of
/// a line that moves grows with the square of this: a thousand are still a millisecond.
pub const DEPTH_MAX: u16 = 1000;

/// The depth of a limit that names none.
pub const DEPTH_USUAL: u16 = 100;

/// The bounds of a line before one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queueing {
    /// Microseconds that a call waits at most; 1 to [`WAIT_US_MAX`].
    pub wait_us: u32,
    /// Calls that wait at once; 1 to [`DEPTH_MAX`].
    pub depth: u16,
}

impl Default for Queueing {
    fn default() -> Queueing {
        Queueing { wait_us: WAIT_US_USUAL, depth: DEPTH_USUAL }
    }
}

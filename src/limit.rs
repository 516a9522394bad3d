//! A limit as a value: a budget, the window it is for, and what happens beyond it.
//!
//! Compiled from the rules and immutable. Knows neither the file it came from nor the state that
//! it is held against.

mod number;
mod queueing;

pub use self::number::parse_whole_number;
pub use self::queueing::{DEPTH_MAX, Queueing, WAIT_US_MAX};

use std::fmt;

use crate::alert::AlertAt;
use crate::calendar::{Anchor, Calendar};
use crate::key::{Identity, LimitTag};
use crate::time::SECOND_US;

/// A sliding log keeps a stamp for each hit, so its budget is bounded: ten thousand stamps are
/// 160 kB for one key, and a scan of them is still microseconds.
pub const SLIDING_LOG_REQUESTS_MAX: u64 = 10_000;

/// Slots are searched one by one, so a concurrency limit is bounded as a sliding log is.
pub const CONCURRENCY_MAX: u64 = 10_000;

/// No window is longer than ten years. Longer ones are typing errors, and the bound keeps every
/// product of a budget and a window within the arithmetic's 128 bits.
pub const WINDOW_S_MAX: u64 = 10 * Unit::Year.seconds();

/// How much may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// So many requests; 0 blocks everything.
    Requests(u64),
    /// Counted, never refused.
    Unlimited,
}

/// How use is measured over time. All spans are in microseconds.
#[derive(Debug)]
pub enum Algorithm {
    /// Windows that follow one another from the Unix epoch on.
    FixedWindow { window_us: u64 },
    /// Windows of the calendar.
    Calendar(Calendar),
    /// Every span of this length, exactly.
    SlidingLog { window_us: u64 },
    /// Every span of this length, estimated from two counts.
    SlidingWindow { window_us: u64 },
    /// A bucket that holds `burst` and gives the budget back evenly over the window.
    TokenBucket {
        window_us: u64,
        burst: u64,
        /// The smallest budget by which a plan may come to empty the same bucket.
        requests_min: u64,
    },
    /// Calls that go on at once.
    Concurrency,
}

/// How a limit measures, without its budget: two limits that read the same here can share counters.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Algorithm::FixedWindow { window_us } => write!(f, "fixed_window of {window_us} us"),
            Algorithm::Calendar(calendar) => {
                write!(f, "calendar {:?}", calendar.period())?;
                if calendar.anchor() != Anchor::USUAL {
                    write!(f, " from {}", calendar.anchor())?;
                }
                write!(f, " in {}", calendar.zone_name())
            }
            Algorithm::SlidingLog { window_us } => write!(f, "sliding_log of {window_us} us"),
            Algorithm::SlidingWindow { window_us } => write!(f, "sliding_window of {window_us} us"),
            Algorithm::TokenBucket { window_us, .. } => {
                write!(f, "token_bucket of {window_us} us")
            }
            Algorithm::Concurrency => f.write_str("concurrency"),
        }
    }
}

/// What a limit does to a call that would exceed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExceed {
    /// It votes for refusal.
    Deny,
    /// It lets the call pass and shows that nothing is left.
    Allow,
    /// It counts and says nothing to the caller.
    Shadow,
    /// It votes for refusal, unless there is room after a wait that the call can bear.
    Queue(Queueing),
}

impl OnExceed {
    /// Whether a lack of room refuses calls.
    pub const fn votes(self) -> bool {
        matches!(self, OnExceed::Deny | OnExceed::Queue(_))
    }
}

/// When a limit is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// With the call, if the call is admitted.
    Admitted,
    /// The full cost whatever the verdict, beyond the budget if need be.
    Always,
}

/// What a crash may cost a limit whose counters are kept on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// At most the last second of hits.
    Ordinary,
    /// Nothing: the answer leaves only after its charge is on disk.
    Strict,
}

/// The unit in which a window is shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    /// Seconds in the unit where it has a fixed length; a month counts 30 days and a year 365,
    /// as they do in the wire contract. Calendar windows do not use these.
    pub const fn seconds(self) -> u64 {
        match self {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3600,
            Unit::Day => 86_400,
            Unit::Week => 7 * 86_400,
            Unit::Month => 30 * 86_400,
            Unit::Year => 365 * 86_400,
        }
    }
}

/// A window as shown to people: so many of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Per {
    pub count: u32,
    pub unit: Unit,
}

impl Per {
    /// No window at all: so many at once.
    pub const AT_ONCE: Per = Per { count: 0, unit: Unit::Second };

    /// Seconds in the window, where it has a fixed length.
    pub const fn window_s(self) -> u64 {
        // 32 bits of years are well within 64 bits of seconds.
        self.count as u64 * self.unit.seconds()
    }
}

/// One budget over one kind of window.
#[derive(Debug)]
pub struct Limit {
    /// Rule and limit name, as in `per-key.minute`; empty for a limit that a call brought along.
    pub label: Box<str>,
    pub budget: Budget,
    pub per: Per,
    pub algorithm: Algorithm,
    pub on_exceed: OnExceed,
    pub charge: Charge,
    pub durability: Durability,
    /// Whether the counts of its windows are kept, with the values it counts by.
    pub archive: bool,
    /// What sets this limit's counters apart from others of the same identity.
    pub tag: LimitTag,
    /// Whom its counter belongs to if there is no room for one more: those who find none.
    pub crowd: Identity,
    /// When people are told how much is used, if they are.
    pub alert: Option<Box<AlertAt>>,
}

impl Limit {
    /// Whether its counters are kept by a journal that keeps windows of at least this length. How
    /// long a slot is held is not known here; one that is lost would be given out twice.
    pub fn lasts(&self, window_us_min: u64) -> bool {
        matches!(self.algorithm, Algorithm::Concurrency) || window_us_min <= self.window_us()
    }

    /// Whether charging it changes its counter and nothing else, and only if the call is admitted.
    pub fn is_plain(&self) -> bool {
        let noted = self.archive || self.alert.is_some();
        let takes_slots = matches!(self.algorithm, Algorithm::Concurrency);
        let queues = matches!(self.on_exceed, OnExceed::Queue(_));
        !noted && !takes_slots && !queues && self.charge == Charge::Admitted
    }

    /// The length of the window, nominal where the calendar makes it vary.
    pub fn window_us(&self) -> u64 {
        self.per.window_s() * SECOND_US
    }

    /// The limit as the rules have it.
    #[inline]
    pub fn terms(&self) -> Terms<'_> {
        let burst = match self.algorithm {
            Algorithm::TokenBucket { burst, .. } => burst,
            _ => 0,
        };
        Terms { limit: self, budget: self.budget, burst, on_exceed: self.on_exceed, calendar: None }
    }
}

/// A limit as it binds one key now: the directory, a date or a share under test may give the key
/// other terms than the rules have for everybody.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub limit: &'a Limit,
    pub budget: Budget,
    /// What a token bucket holds; of no meaning for others.
    pub burst: u64,
    pub on_exceed: OnExceed,
    /// A calendar of the key's own in place of the limit's, of the same period.
    pub calendar: Option<&'a Calendar>,
}

impl<'a> Terms<'a> {
    /// The same terms over another budget. A bucket keeps its burst; one that held the whole budget
    /// at least goes on doing so.
    pub fn with_budget(self, budget: Budget) -> Terms<'a> {
        // Nobody wrote the burst of a bucket that had no end.
        let own = if self.burst == u64::MAX { 0 } else { self.burst };
        let smooths = matches!(self.budget, Budget::Requests(requests) if own < requests);
        let burst = match budget {
            Budget::Requests(_) if smooths => own,
            Budget::Requests(requests) => own.max(requests),
            Budget::Unlimited => u64::MAX,
        };
        Terms { budget, burst, ..self }
    }

    /// The most that can be in use at once: a bucket's burst, else the budget.
    pub fn capacity(&self) -> Budget {
        match (self.budget, &self.limit.algorithm) {
            (Budget::Requests(_), Algorithm::TokenBucket { .. }) => Budget::Requests(self.burst),
            (budget, _) => budget,
        }
    }
}

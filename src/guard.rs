//! Who is kept out: what counts as an offence, when a ban falls, and how long it lasts.
//!
//! Pure steps over values: the tally of one counter goes in and comes back with the answer. Knows
//! no clock, no map, no rules, and nothing of what a call is.

mod rate;
mod seen;
mod sketch;
mod spike;

pub use self::rate::{JOINED_PARTS, Rate, Stamps};
pub use self::seen::{SLICES, Seen, Slice};
pub use self::sketch::{FEW_MAX, REGISTERS, Sketch};
pub use self::spike::{Spike, WINDOWS_MAX};

use std::fmt;

use crate::time::{SECOND_US, Timestamp};

/// Why and for how long a rule keeps somebody out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub offence: Offence,
    /// Microseconds for which the first ban lasts.
    pub for_us: u64,
    /// Microseconds for which the longest lasts, and after the end of one for which it is
    /// remembered.
    pub up_to_us: u64,
}

/// What a ban falls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Calls for which a limit of the rule had no room.
    Refusals(Rate),
    /// Hits of calls that the rule is for, whatever became of them.
    Hits(Rate),
    /// A rate far beyond what the counter is used to.
    Spike(Spike),
    /// More than so many values of another entry.
    Distinct { entry: Box<str>, rate: Rate },
}

/// What is known of one counter's offences. Each kind of offence uses its own part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub stamps: Stamps,
    pub seen: Seen,
}

/// The last ban of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    pub until: Timestamp,
    pub strikes: u32,
}

/// A ban that falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    pub until: Timestamp,
    /// How many bans in a row this is.
    pub strikes: u32,
}

impl Terms {
    /// The ban that falls now, given the last one: twice as long if that ended no longer ago than
    /// the longest ban lasts.
    pub fn next(&self, last: Option<Past>, now: Timestamp) -> Term {
        let remembered = last.filter(|last| now < last.until.plus(self.up_to_us));
        let strikes = remembered.map_or(0, |last| last.strikes).saturating_add(1);
        let doubled = 1u64.checked_shl(strikes - 1).unwrap_or(u64::MAX);
        let lasts_us = self.for_us.saturating_mul(doubled).min(self.up_to_us);
        Term { until: now.plus(lasts_us), strikes }
    }

    /// Whether this offence would change nothing in a tally.
    pub fn knows(&self, tally: &Tally, what: u64, now: Timestamp) -> bool {
        match &self.offence {
            Offence::Distinct { rate, .. } => tally.seen.knows(what, *rate, now),
            _ => false,
        }
    }

    /// Adds so many offences, or where different values count the hash of one; true if a ban
    /// falls, and the tally then begins anew. What a counter is used to stays known, without what
    /// it did to be kept out.
    pub fn add(&self, tally: &mut Tally, what: u64, now: Timestamp) -> bool {
        let falls = match &self.offence {
            Offence::Refusals(rate) | Offence::Hits(rate) => tally.stamps.add(what, *rate, now),
            Offence::Spike(spike) => spike.add(&mut tally.stamps, what, now),
            Offence::Distinct { rate, .. } => tally.seen.add(what, *rate, now),
        };
        match &self.offence {
            Offence::Spike(_) if falls => tally.stamps.forget_last(),
            _ if falls => *tally = Tally::default(),
            _ => {}
        }
        falls
    }

    /// Microseconds after its last change for which a tally matters.
    pub fn tally_lasts_us(&self) -> u64 {
        match &self.offence {
            Offence::Refusals(rate) | Offence::Hits(rate) => rate.within_us,
            Offence::Distinct { rate, .. } => rate.within_us,
            Offence::Spike(spike) => spike.lasts_us(),
        }
    }
}

/// Why a ban of this kind fell, in words.
impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |us: u64| us as f64 / SECOND_US as f64;
        match self {
            Offence::Refusals(Rate { after, within_us }) => {
                write!(f, "{after} refusals within {} s", seconds(*within_us))
            }
            Offence::Hits(Rate { after, within_us }) => {
                write!(f, "{after} hits within {} s", seconds(*within_us))
            }
            Offence::Spike(Spike { times, window_us, .. }) => {
                write!(f, "more than {times} times the usual hits in {} s", seconds(*window_us))
            }
            Offence::Distinct { entry, rate: Rate { after, within_us } } => {
                let span = seconds(*within_us);
                write!(f, "more than {after} values of `{entry}` within {span} s")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: u64 = 60_000_000;

    #[test]
    fn bans_grow_while_they_follow_one_another() {
        let rate = Rate { after: 3, within_us: MINUTE_US };
        let terms = Terms {
            offence: Offence::Hits(rate),
            for_us: 15 * MINUTE_US,
            up_to_us: 100 * MINUTE_US,
        };
        let mut now = Timestamp::from_secs(1_000_000);
        let mut last = None;
        for (strikes, minutes) in [(1, 15), (2, 30), (3, 60), (4, 100), (5, 100)] {
            let term = terms.next(last, now);
            assert_eq!(term, Term { until: now.plus(minutes * MINUTE_US), strikes });
            last = Some(Past { until: term.until, strikes });
            now = term.until.plus(100 * MINUTE_US - 1);
        }
        // A tick later the last one is forgotten.
        assert_eq!(terms.next(last, now.plus(1)).strikes, 1);
        let many = Past { until: now, strikes: u32::MAX };
        assert_eq!(terms.next(Some(many), now).until, now.plus(100 * MINUTE_US));
    }
}

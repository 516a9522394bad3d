//! What the rules of a domain know, so that a row can be held against it.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use jiff::tz::TimeZone;

use crate::limit::{Algorithm, Limit};

/// How a limit measures, as far as that decides which budgets it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Window,
    Log,
    Bucket,
}

/// Names that rows may speak of.
#[derive(Clone, Debug)]
pub struct Known {
    /// The zone in which a date without one of its own is meant.
    pub zone: TimeZone,
    /// Limits by label.
    pub limits: HashMap<Box<str>, Kind, RandomState>,
    /// The plans there are, by the entry that names them.
    pub plans: HashMap<Box<str>, HashSet<Box<str>>, RandomState>,
    /// Alert targets.
    pub targets: HashSet<Box<str>, RandomState>,
    /// The rules could be read in part only: a name that is not here may be there all the same.
    pub partial: bool,
}

impl Default for Known {
    fn default() -> Known {
        let (limits, plans, targets, partial) = Default::default();
        Known { zone: TimeZone::UTC, limits, plans, targets, partial }
    }
}

impl From<&Limit> for Kind {
    fn from(limit: &Limit) -> Kind {
        match limit.algorithm {
            Algorithm::FixedWindow { .. }
            | Algorithm::Calendar(_)
            | Algorithm::SlidingWindow { .. } => Kind::Window,
            // Slots are bounded as stamps are.
            Algorithm::SlidingLog { .. } | Algorithm::Concurrency => Kind::Log,
            Algorithm::TokenBucket { .. } => Kind::Bucket,
        }
    }
}

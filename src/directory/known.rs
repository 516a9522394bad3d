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
    /// The plans there are, by the entry that names them; none where every name is as good.
    pub plans: HashMap<Box<str>, HashSet<Box<str>>, RandomState>,
    /// Alert targets.
    pub targets: HashSet<Box<str>, RandomState>,
}

impl Default for Known {
    fn default() -> Known {
        let (limits, plans, targets) = Default::default();
        Known { zone: TimeZone::UTC, limits, plans, targets }
    }
}

impl From<&Limit> for Kind {
    fn from(limit: &Limit) -> Kind {
        match limit.algorithm {
            Algorithm::FixedWindow { .. }
            | Algorithm::Calendar(_)
            | Algorithm::SlidingWindow { .. } => Kind::Window,
            Algorithm::SlidingLog { .. } => Kind::Log,
            Algorithm::TokenBucket { .. } => Kind::Bucket,
        }
    }
}

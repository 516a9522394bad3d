//! What one server decides with: the rules in force, the counters, and the clock.
//!
//! The rules stand behind one pointer that is swapped whole, so a call is decided by one set from
//! its start to its end, and a reload never makes a call wait.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::limiter::{self, Verdict};
use crate::query::Query;
use crate::rules::RuleSet;
use crate::store::{Memory, SHARDS};
use crate::time::{Clock, Timestamp};

#[derive(Debug)]
pub struct Gate {
    rules: ArcSwap<RuleSet>,
    counters: Memory,
    clock: Clock,
}

impl Gate {
    pub fn new(rules: RuleSet, clock: Clock) -> Gate {
        Gate { rules: ArcSwap::from_pointee(rules), counters: Memory::new(), clock }
    }

    /// The rules in force; the guard must not be kept beyond one call.
    pub fn rules(&self) -> Guard<Arc<RuleSet>> {
        self.rules.load()
    }

    /// Puts other rules in force, from the next call on. Counters stay as they are. Returns the
    /// rules that were in force.
    pub fn replace(&self, rules: RuleSet) -> Arc<RuleSet> {
        self.rules.swap(Arc::new(rules))
    }

    /// Reads the clock: once for each call, and nowhere below.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn decide<'a>(&self, rules: &'a RuleSet, query: &Query<'_>) -> Verdict<'a> {
        limiter::decide(rules, &self.counters, query, self.now())
    }

    /// Drops the expired counters of one shard, counted round from any number.
    pub fn sweep(&self, shard: usize) -> usize {
        self.counters.sweep(shard % SHARDS, self.now())
    }

    /// Counters held, expired ones that were not swept yet included.
    pub fn counters(&self) -> usize {
        self.counters.len()
    }
}

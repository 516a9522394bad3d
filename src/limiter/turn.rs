//! Whether a call that finds no room waits for it, and behind whom.
//!
//! A call without a limit that queues sees nothing of this, and one that finds room where nobody
//! waits takes no lock. All others are decided with the lines open, so that what stands ahead of a
//! call is the same from the decision to its place in the line.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::key::CounterKey;
use crate::limit::OnExceed;
use crate::queue::{Ended, Lines, Open, Place, STANDS_MAX};
use crate::store::{Applied, Hit};
use crate::time::Timestamp;

use super::resolve::Resolved;

/// A timer and the clock agree within this, so a call that has stood for its whole wait is not
/// turned away for the last microseconds of it.
const TIMER_SLACK_US: u64 = 5_000;

/// What a call needs that can wait.
#[expect(missing_debug_implementations, reason = "what a closure answers cannot be shown")]
pub struct Turn<'t> {
    pub lines: &'t Arc<Lines>,
    /// For how many microseconds the caller waits at all, from when it asked. Only asked of calls
    /// that a queue is for.
    pub patience_us: &'t dyn Fn() -> u64,
    /// Where it stands, if it has waited already.
    pub place: Option<Place>,
}

/// A call that is not decided yet: after so many microseconds, or when its place is woken, it is
/// to be decided again.
#[derive(Debug)]
pub struct Wait {
    /// When it was told to wait.
    pub since: Timestamp,
    pub wait_us: u64,
    pub place: Place,
}

/// One decision's part in the lines.
pub struct Queued<'t> {
    /// Ahead of the turn, whose place wants the lines for itself when it is dropped.
    open: Option<Open<'t>>,
    turn: Option<Turn<'t>>,
}

impl<'t> Queued<'t> {
    /// Looks whether this decision has to do with lines, and tells its hits what stands ahead.
    pub fn new(turn: Option<Turn<'t>>, call: &mut Resolved<'_, '_>) -> Queued<'t> {
        let turn = turn.filter(|turn| turn.place.is_some() || call.hits.iter().any(queues));
        let mut queued = Queued { open: None, turn };
        if let Some(turn) = &queued.turn {
            if turn.place.is_some() || turn.lines.waiting() > 0 {
                queued.open = Some(turn.lines.open());
            }
            queued.measure(call);
        }
        queued
    }

    /// Opens the lines for a call that would wait; true if they were not open, and the call is to
    /// be decided again as somebody may have come to stand there.
    pub fn opens_for(&mut self, applied: &Applied, call: &mut Resolved<'_, '_>) -> bool {
        let Some(turn) = &self.turn else { return false };
        if applied.wait_us.is_none() || self.open.is_some() {
            return false;
        }
        self.open = Some(turn.lines.open());
        self.measure(call);
        true
    }

    /// Tells each hit what stands ahead of it and how long it may wait.
    fn measure(&self, call: &mut Resolved<'_, '_>) {
        let Some(turn) = &self.turn else { return };
        let (open, place) = (self.open.as_ref(), turn.place.as_ref());
        let may_stand = match (open, place) {
            (Some(open), None) => open.takes_newcomers(),
            (Some(open), Some(_)) => !open.is_closed(),
            (None, _) => true,
        };
        let may_stand = may_stand && stands(&call.hits).count() <= STANDS_MAX;
        let patience_us = if may_stand { (turn.patience_us)() } else { 0 };
        for hit in &mut call.hits {
            let OnExceed::Queue(bounds) = hit.terms.on_exceed else { continue };
            if !hit.votes {
                continue;
            }
            let ahead = open.map(|open| open.ahead(hit.key, place)).unwrap_or_default();
            hit.ahead = ahead.demand;
            // A peek is answered at once, and so is whoever finds the line full.
            let full = place.is_none() && usize::from(bounds.depth) <= ahead.waiters;
            let bearable_us = u64::from(bounds.wait_us).min(patience_us);
            hit.wait_us_max = match place {
                _ if full || hit.pending > 0 || !may_stand => 0,
                Some(place) => bearable_us.saturating_sub(place.waited_us()) + TIMER_SLACK_US,
                None => bearable_us,
            };
        }
    }

    /// Has the call stand in line if it waits, and leave it if it stood there and is decided.
    pub fn end(self, call: &Resolved<'_, '_>, applied: &Applied) -> Option<Box<Wait>> {
        let Queued { open: Some(mut open), turn } = self else { return None };
        let place = turn.and_then(|turn| turn.place);
        if let Some(wait_us) = applied.wait_us {
            let place = open.stand(place, stands(&call.hits));
            return Some(Box::new(Wait { since: call.now, wait_us, place }));
        }
        match place {
            Some(place) if applied.admitted => open.leave(place, Ended::Admitted),
            Some(place) => open.leave(place, Ended::Refused),
            // There was room for a newcomer and for everybody ahead: they are late to see it.
            None if applied.admitted => {
                stands(&call.hits).for_each(|(key, _)| open.wake_first(key));
            }
            None => {}
        }
        None
    }
}

fn queues(hit: &Hit<'_>) -> bool {
    hit.votes && matches!(hit.terms.on_exceed, OnExceed::Queue(_))
}

/// The lines that a call stands in, each once, with what it waits for there.
fn stands(hits: &[Hit<'_>]) -> impl Iterator<Item = (CounterKey, u64)> {
    let mut seen: SmallVec<[CounterKey; 4]> = SmallVec::new();
    hits.iter().filter(|hit| queues(hit)).filter_map(move |hit| {
        let first = !seen.contains(&hit.key);
        seen.push(hit.key);
        first.then_some((hit.key, hit.demand))
    })
}

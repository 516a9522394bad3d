//! What the model shows of a descriptor: the tightest of its limits.

use super::asked::Ask;
use super::limit::OnExceed;
use super::{Grants, Histories, Shows, Status};

pub fn status(asks: &[Ask], histories: &Histories, grants: &Grants, at: u64) -> Status {
    let history = |ask: &Ask| histories.get(&ask.counter).map_or(&[][..], Vec::as_slice);
    let remaining =
        |ask: &Ask| ask.limit.remaining(history(ask), at).saturating_add(ask.pool(grants, at));
    let spoken = || asks.iter().filter(|ask| ask.limit.on_exceed != OnExceed::Shadow);
    let mut longest: Option<(&Ask, Option<u64>)> = None;
    for ask in spoken().filter(|ask| ask.refuses) {
        let own = ask.demand.saturating_sub(u128::from(ask.pool(grants, at)));
        // Whoever was refused and has room by what the call itself gave back waits a moment.
        let wait_us = ask.limit.wait_us(history(ask), at, own).map(|wait_us| wait_us.max(1));
        if longest.is_none_or(|(_, other)| is_longer(wait_us, other)) {
            longest = Some((ask, wait_us));
        }
    }
    if let Some((ask, wait_us)) = longest {
        return Status { refused: true, shows: ask.shows(remaining(ask), wait_us) };
    }
    let mut smallest: Option<&Ask> = None;
    for ask in spoken() {
        let is_smaller = |other| has_smaller_share(ask, remaining(ask), other, remaining(other));
        if smallest.is_none_or(is_smaller) {
            smallest = Some(ask);
        }
    }
    let shows = smallest.map_or(Shows::Nothing, |ask| {
        ask.shows(remaining(ask), ask.limit.reset_us(history(ask), at))
    });
    Status { refused: false, shows }
}

impl Ask {
    fn shows(&self, remaining: u64, reset_us: Option<u64>) -> Shows {
        let Some(requests) = self.limit.budget else { return Shows::Unlimited };
        let remaining = remaining.min(requests);
        Shows::Limit { name: self.label.clone(), requests, remaining, reset_us }
    }
}

/// No wait at all is a wait without end.
fn is_longer(wait_us: Option<u64>, other: Option<u64>) -> bool {
    match (wait_us, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wait_us), Some(other)) => other < wait_us,
    }
}

/// Whether `left / capacity` of one is less than that of the other; an unlimited one has all
/// left, and one that never holds anything has nothing.
fn has_smaller_share(ask: &Ask, left: u64, other: &Ask, other_left: u64) -> bool {
    match (ask.limit.capacity(), other.limit.capacity()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(0), Some(_)) => 0 < other_left,
        (Some(_), Some(0)) => false,
        (Some(capacity), Some(other_capacity)) => {
            u128::from(left) * u128::from(other_capacity)
                < u128::from(other_left) * u128::from(capacity)
        }
    }
}

//! The counters of one decision, their shards all locked.

use crate::algorithm::concurrency::Slot;
use crate::algorithm::{self, Fit, Reading, State, mend};
use crate::key::CounterKey;
use crate::limit::Algorithm;
use crate::store::journal::Ticket;
use crate::store::{HeldUntil, Hit, Outcome, Room};
use crate::time::Timestamp;

use super::cell::Seen;
use super::{Cell, Guards, Keeper, Kept, Space, shard_of};

/// The shards of one decision.
pub(super) struct Locked<'a> {
    pub(super) space: &'a Space,
    pub(super) keeper: Option<&'a Keeper>,
    pub(super) guards: Guards<'a>,
    /// The last thing that must be on disk before this decision is answered.
    pub(super) ticket: Option<Ticket>,
}

/// What one hit took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Took {
    of_counter: u64,
    of_grant: u64,
}

impl Locked<'_> {
    /// Whether a counter and its grant together have room. What the grant has no room for must fit
    /// into the counter, so that a promised wait is exact with a grant as well.
    ///
    /// What stands in line ahead is let go first, of the grant as well.
    pub(super) fn fit(&self, hit: &Hit<'_>, now: Timestamp) -> Fit {
        let all = hit.ahead.saturating_add(hit.demand).saturating_sub(hit.pool);
        if all == 0 && hit.pool > 0 {
            return Fit::Now;
        }
        let own = all.min(hit.demand);
        self.fit_behind(hit, all - own, own, now)
    }

    fn fit_behind(&self, hit: &Hit<'_>, ahead: u64, own: u64, now: Timestamp) -> Fit {
        match self.get(hit.key, now) {
            Some(state) => algorithm::fit_behind(&hit.terms, &state, now, ahead, own),
            None => {
                let fresh = algorithm::fresh(hit.terms.limit);
                algorithm::fit_behind(&hit.terms, &fresh, now, ahead, own)
            }
        }
    }

    /// What is told of a hit. A line may be too long to say when its end will come; a caller who
    /// cannot join it is told the wait as if nobody stood there, or until nothing is used.
    fn room(&self, hit: &Hit<'_>, fit: Fit, now: Timestamp) -> Room {
        let fit = match fit {
            Fit::Never if hit.ahead > 0 => {
                match self.fit_behind(hit, 0, hit.demand.saturating_sub(hit.pool), now) {
                    Fit::Now => Fit::After(self.reading(hit, now, 0).reset_us.max(1)),
                    alone => alone,
                }
            }
            fit => fit,
        };
        Room::from(fit)
    }

    /// The same once a refused decision has been charged or has given something back. Whoever was
    /// refused and finds room by what the call itself gave back has it from the next moment on.
    pub(super) fn fit_again(&self, hit: &Hit<'_>, before: Fit, now: Timestamp) -> Fit {
        match (before, self.fit(hit, now)) {
            (Fit::After(_) | Fit::Never, Fit::Now) => Fit::After(1),
            (_, fit) => fit,
        }
    }

    /// What a counter has room for before its grant pays; none if it has no grant. Of several
    /// budgets on it the smallest says so, whichever of them the charge goes by: what one of them
    /// had let pass because of the grant would else cost the grant nothing.
    pub(super) fn room_ahead_of_grant(
        &self,
        hit: &Hit<'_>,
        hits: &[Hit<'_>],
        now: Timestamp,
    ) -> Option<u64> {
        let of_counter = |it: &&Hit<'_>| it.key == hit.key && it.votes && it.pool > 0;
        let budgets = hits.iter().filter(of_counter);
        budgets.map(|it| self.reading(it, now, 0).remaining).min()
    }

    /// Charges a hit: the counter as far as it has `room`, and then its grant; without a grant the
    /// counter alone, room or no room.
    pub(super) fn take(
        &mut self,
        hit: &Hit<'_>,
        charge: u64,
        room: Option<u64>,
        slots: &[HeldUntil],
        now: Timestamp,
    ) -> Took {
        let of_counter = room.map_or(charge, |room| charge.min(room));
        let taken = Took { of_counter, of_grant: charge - of_counter };
        if of_counter == 0 {
            // The grant pays for all of it, and the counter is not to remember a hit of nothing.
            return taken;
        }
        let slot = slots.get(usize::from(hit.slot));
        self.change(hit, now, |state| {
            algorithm::charge(&hit.terms, state, now, of_counter);
            if let Some(&HeldUntil { id, expires_at }) = slot {
                algorithm::hold(state, now, Slot { id, hits: of_counter, expires_at });
            }
        });
        taken
    }

    /// Lowers what is used; of a counter that holds nothing there is nothing to give back.
    pub(super) fn give_back(&mut self, hit: &Hit<'_>, now: Timestamp) {
        if self.get(hit.key, now).is_some() {
            self.change(hit, now, |state| mend::give_back(&hit.terms, state, now, hit.give_back));
        }
    }

    fn change(&mut self, hit: &Hit<'_>, now: Timestamp, step: impl FnOnce(&mut State)) {
        let (keeper, space, position) = (self.keeper, self.space, self.position(hit.key));
        let (number, shard) = &mut self.guards[position];
        let shard = &mut **shard;
        let mut cell = shard.table.get_mut(hit.key);
        if cell.as_ref().is_none_or(|cell| cell.expires_at() <= now) {
            let kept = cell.map_or(Kept::Not, |cell| cell.kept());
            let fresh = Cell::new(algorithm::fresh(hit.terms.limit), now, kept);
            shard.put(*number, hit.key, fresh, now, space);
            cell = shard.table.get_mut(hit.key);
        }
        let cell = cell.expect("it is there, or was put there");
        let mut kept = cell.kept();
        if let Some(keeper) = keeper {
            let ticket = keeper.keep(hit.terms.limit, hit.key, &mut kept, &mut shard.changed);
            self.ticket = self.ticket.max(ticket);
        }
        let bytes = cell.heap_bytes();
        let step = |state: &mut State| {
            step(state);
            (algorithm::expires_at(&hit.terms, state, now), ())
        };
        cell.change(step, kept);
        space.resize(bytes, cell.heap_bytes());
        shard.expires_from = shard.expires_from.min(cell.expires_at());
    }

    /// How a counter stands after the decision, with so many hits shown that were not taken.
    pub(super) fn outcome(
        &self,
        hit: &Hit<'_>,
        (fit, taken): (Fit, Took),
        pending: u64,
        slots: &[HeldUntil],
        now: Timestamp,
    ) -> Outcome {
        let room = self.room(hit, fit, now);
        let Reading { used, remaining, mut reset_us } = self.reading(hit, now, pending);
        if pending > 0
            && matches!(hit.terms.limit.algorithm, Algorithm::Concurrency)
            && let Some(slot) = slots.get(usize::from(hit.slot))
        {
            reset_us = reset_us.max(slot.expires_at.since(now));
        }
        let remaining = remaining.saturating_add(hit.pool.saturating_sub(taken.of_grant));
        let Took { of_counter: taken, of_grant: granted } = taken;
        Outcome { room, used, remaining, taken, granted, reset_us }
    }

    fn reading(&self, hit: &Hit<'_>, now: Timestamp, pending: u64) -> Reading {
        match self.get(hit.key, now) {
            Some(state) => algorithm::read(&hit.terms, &state, now, pending),
            None => algorithm::read(&hit.terms, &algorithm::fresh(hit.terms.limit), now, pending),
        }
    }

    /// What a counter holds, unless that has expired: an expired counter is as good as swept.
    fn get(&self, key: CounterKey, now: Timestamp) -> Option<Seen<'_>> {
        let (_, shard) = &self.guards[self.position(key)];
        let cell = shard.table.get(key)?;
        (now < cell.expires_at()).then(|| cell.state())
    }

    /// Where the guard of this key's shard stands; `lock` took one for every key of the decision.
    pub(super) fn position(&self, key: CounterKey) -> usize {
        let shard = shard_of(key);
        self.guards.partition_point(|(number, _)| *number < shard)
    }
}

//! The exchange of a usual decision: hits on counters of their own, charged if all have room.
//!
//! What [`Memory::apply`] does for decisions that may also peek, give back, spend a grant, stand in
//! line, hold slots or meet one counter twice is done here in one look at each counter, or two if
//! there are several. Both must answer alike, which a property test sees to.

use smallvec::SmallVec;

use crate::algorithm::{self, Charged, Fit, Reading};
use crate::key::CounterKey;
use crate::limit::Terms;
use crate::store::journal::Ticket;
use crate::store::{Applied, Ask, HITS_INLINE, Hit, NO_SLOT, Outcome, Room};
use crate::time::Timestamp;

use super::cell::{Cell, Kept};
use super::shard::Shard;
use super::{Keeper, Memory, shard_of};

/// What a usual decision asks of one counter.
#[derive(Clone, Copy, Debug)]
pub struct Taking<'a> {
    pub key: CounterKey,
    pub terms: Terms<'a>,
    /// The room asked for, and what is taken if the decision admits; not 0.
    pub cost: u64,
}

/// What became of a usual decision: `outcomes` has one for each taking, in order.
#[derive(Debug)]
pub struct Taken {
    pub admitted: bool,
    pub outcomes: SmallVec<[Outcome; HITS_INLINE]>,
    /// What must be on disk before the decision is answered, if anything.
    pub ticket: Option<Ticket>,
}

impl<'a> Taking<'a> {
    fn fit(&self, shard: &Shard, now: Timestamp) -> Fit {
        match shard.table.get(self.key).filter(|cell| now < cell.expires_at()) {
            Some(cell) => algorithm::fit(&self.terms, &cell.state(), now, self.cost),
            None => {
                algorithm::fit(&self.terms, &algorithm::fresh(self.terms.limit), now, self.cost)
            }
        }
    }

    fn admits(&self, fit: Fit) -> bool {
        fit == Fit::Now || !self.terms.on_exceed.votes()
    }

    fn outcome(&self, Charged { fit, admitted, after, .. }: &Charged) -> Outcome {
        let Reading { used, remaining, reset_us } = *after;
        let taken = if *admitted { self.cost } else { 0 };
        Outcome { room: Room::from(*fit), used, remaining, taken, granted: 0, reset_us }
    }

    /// How a counter stands that is charged nothing, because others refused.
    fn untouched(&self, shard: &Shard, fit: Fit, now: Timestamp) -> Outcome {
        let after = match shard.table.get(self.key).filter(|cell| now < cell.expires_at()) {
            Some(cell) => algorithm::read(&self.terms, &cell.state(), now, 0),
            None => algorithm::read(&self.terms, &algorithm::fresh(self.terms.limit), now, 0),
        };
        self.outcome(&Charged { fit, admitted: false, after, expires_at: now })
    }

    /// The same as the way that knows all else takes it.
    fn hit(&self) -> Hit<'a> {
        Hit {
            key: self.key,
            terms: self.terms,
            demand: self.cost,
            charge: self.cost,
            charge_refused: 0,
            pending: 0,
            votes: self.terms.on_exceed.votes(),
            pool: 0,
            give_back: 0,
            ahead: 0,
            wait_us_max: 0,
            slot: NO_SLOT,
        }
    }
}

impl Memory {
    /// Commits the takings of one decision together: if every limit that votes has room, all are
    /// charged, and else none. No two may be on one counter.
    pub fn take(&self, takings: &[Taking<'_>], now: Timestamp) -> Taken {
        let taken = match takings {
            [taking] => self.take_one(taking, now),
            _ => self.take_all(takings, now),
        };
        taken.unwrap_or_else(|| self.take_in_crowds(takings, now))
    }

    /// None if there is no room for the counter.
    #[inline]
    fn take_one(&self, taking: &Taking<'_>, now: Timestamp) -> Option<Taken> {
        let mut shard = self.shard(taking.key);
        let (charged, ticket) = self.charge(&mut shard, taking, now)?;
        let mut outcomes = SmallVec::new();
        outcomes.push(taking.outcome(&charged));
        Some(Taken { admitted: charged.admitted, outcomes, ticket })
    }

    fn take_all(&self, takings: &[Taking<'_>], now: Timestamp) -> Option<Taken> {
        let mut locked = self.lock(takings.iter().map(|taking| taking.key));
        let mut places: SmallVec<[usize; HITS_INLINE]> = SmallVec::new();
        places.extend(takings.iter().map(|taking| locked.position(taking.key)));
        let parts = || takings.iter().zip(&places);
        for (taking, &place) in parts() {
            let (number, shard) = &mut locked.guards[place];
            if shard.table.find(taking.key).is_none() && !shard.has_room(*number, now, &self.space)
            {
                return None;
            }
        }
        let fit =
            |(taking, &place): (&Taking<'_>, &usize)| taking.fit(&locked.guards[place].1, now);
        let fits: SmallVec<[Fit; HITS_INLINE]> = parts().map(fit).collect();
        let admitted = parts().zip(&fits).all(|((taking, _), &fit)| taking.admits(fit));
        let (mut outcomes, mut ticket) = (SmallVec::new(), None);
        for ((taking, &place), &fit) in parts().zip(&fits) {
            let shard = &mut locked.guards[place].1;
            if !admitted {
                outcomes.push(taking.untouched(shard, fit, now));
                continue;
            }
            let (charged, its_ticket) = self.charge(shard, taking, now)?;
            ticket = ticket.max(its_ticket);
            outcomes.push(taking.outcome(&charged));
        }
        Some(Taken { admitted, outcomes, ticket })
    }

    #[cold]
    fn take_in_crowds(&self, takings: &[Taking<'_>], now: Timestamp) -> Taken {
        let hits: SmallVec<[Hit<'_>; HITS_INLINE]> = takings.iter().map(Taking::hit).collect();
        let ask = Ask { hits: &hits, slots: &[], refused: false };
        let Applied { admitted, outcomes, ticket, .. } = self.apply_in_crowds(ask, now);
        Taken { admitted, outcomes, ticket }
    }

    /// Charges one counter if it has room, or its limit no vote. None if it is a new one for which
    /// there is no memory.
    #[inline]
    fn charge(
        &self,
        shard: &mut Shard,
        taking: &Taking<'_>,
        now: Timestamp,
    ) -> Option<(Charged, Option<Ticket>)> {
        let Some(cell) = shard.table.get_mut(taking.key) else {
            return self.charge_new(shard, taking, now);
        };
        if cell.expires_at() <= now {
            return Some(self.charge_expired(shard, taking, now));
        }
        let (before, kept) = (cell.heap_bytes(), cell.kept());
        let charged = cell.change(
            |state| {
                let charged = algorithm::take(&taking.terms, state, now, taking.cost);
                (charged.expires_at, charged)
            },
            kept,
        );
        self.space.resize(before, cell.heap_bytes());
        shard.expires_from = shard.expires_from.min(charged.expires_at);
        if !charged.admitted {
            return Some((charged, None));
        }
        let Some(keeper) = &self.keeper else { return Some((charged, None)) };
        let ticket = keep(keeper, taking, cell, &mut shard.changed);
        Some((charged, ticket))
    }

    fn charge_new(
        &self,
        shard: &mut Shard,
        taking: &Taking<'_>,
        now: Timestamp,
    ) -> Option<(Charged, Option<Ticket>)> {
        let number = shard_of(taking.key);
        if !shard.has_room(number, now, &self.space) {
            return None;
        }
        Some(self.charge_fresh(shard, taking, Kept::Not, now))
    }

    fn charge_expired(
        &self,
        shard: &mut Shard,
        taking: &Taking<'_>,
        now: Timestamp,
    ) -> (Charged, Option<Ticket>) {
        let kept = shard.table.get(taking.key).map_or(Kept::Not, Cell::kept);
        self.charge_fresh(shard, taking, kept, now)
    }

    fn charge_fresh(
        &self,
        shard: &mut Shard,
        taking: &Taking<'_>,
        kept: Kept,
        now: Timestamp,
    ) -> (Charged, Option<Ticket>) {
        let mut state = algorithm::fresh(taking.terms.limit);
        let charged = algorithm::take(&taking.terms, &mut state, now, taking.cost);
        if !charged.admitted {
            return (charged, None);
        }
        let mut cell = Cell::new(state, charged.expires_at, kept);
        let keeper = self.keeper.as_ref();
        let ticket = keeper.and_then(|keeper| keep(keeper, taking, &mut cell, &mut shard.changed));
        shard.put(shard_of(taking.key), taking.key, cell, now, &self.space);
        (charged, ticket)
    }
}

/// Has the journal keep a counter that was charged.
fn keep(
    keeper: &Keeper,
    taking: &Taking<'_>,
    cell: &mut Cell,
    changed: &mut Vec<CounterKey>,
) -> Option<Ticket> {
    let before = cell.kept();
    let mut kept = before;
    let ticket = keeper.keep(taking.terms.limit, taking.key, &mut kept, changed);
    if kept != before {
        cell.set_kept(kept);
    }
    ticket
}

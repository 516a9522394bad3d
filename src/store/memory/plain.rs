//! The exchange of a usual decision: hits on counters of their own, charged if all have room.
//!
//! What [`Memory::apply`] does for decisions that may also peek, give back, spend a grant, stand in
//! line, hold slots or meet one counter twice is done here in one look at each counter, or two if
//! there are several. Both must answer alike, which a property test sees to.

use smallvec::SmallVec;

use crate::algorithm::{self, Fit, Reading};
use crate::key::CounterKey;
use crate::limit::Terms;
use crate::store::journal::Ticket;
use crate::store::{HITS_INLINE, Outcome, Room};
use crate::time::Timestamp;

use super::cell::{Cell, Kept};
use super::{Memory, Table};

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

impl Taking<'_> {
    /// A counter in the place of none, or of one that has expired. What expired is replaced by it
    /// only if it is charged: a clock that is set back may still bring it back.
    fn fresh(&self, expired: Option<&mut Cell>, now: Timestamp) -> Cell {
        let kept = expired.map_or(Kept::Not, |cell| cell.kept());
        Cell::new(algorithm::fresh(self.terms.limit), now, kept)
    }

    fn fit(&self, cell: &Cell, now: Timestamp) -> Fit {
        algorithm::fit(&self.terms, &cell.state(), now, self.cost)
    }

    fn admits(&self, fit: Fit) -> bool {
        fit == Fit::Now || !self.terms.on_exceed.votes()
    }

    fn outcome(&self, cell: &Cell, fit: Fit, admitted: bool, now: Timestamp) -> Outcome {
        let Reading { used, remaining, reset_us } =
            algorithm::read(&self.terms, &cell.state(), now, 0);
        let taken = if admitted { self.cost } else { 0 };
        Outcome { room: Room::from(fit), used, remaining, taken, granted: 0, reset_us }
    }
}

impl Memory {
    /// Commits the takings of one decision together: if every limit that votes has room, all are
    /// charged, and else none. No two may be on one counter.
    pub fn take(&self, takings: &[Taking<'_>], now: Timestamp) -> Taken {
        match takings {
            [taking] => self.take_one(taking, now),
            _ => self.take_all(takings, now),
        }
    }

    fn take_one(&self, taking: &Taking<'_>, now: Timestamp) -> Taken {
        let shard = self.shard_of(taking.key);
        let mut table = self.counters.shards()[shard].write();
        let mut fresh = None;
        let cell = match find(&mut table, taking.key) {
            Some(cell) if now < cell.expires_at() => cell,
            other => fresh.insert(taking.fresh(other, now)),
        };
        let fit = taking.fit(cell, now);
        let admitted = taking.admits(fit);
        let ticket = if admitted { self.charge(cell, taking, shard, now) } else { None };
        let outcome = taking.outcome(cell, fit, admitted, now);
        if let Some(fresh) = fresh.filter(|_| admitted) {
            put(&mut table, taking.key, fresh);
        }
        Taken { admitted, outcomes: SmallVec::from_iter([outcome]), ticket }
    }

    fn take_all(&self, takings: &[Taking<'_>], now: Timestamp) -> Taken {
        let mut locked = self.lock(takings.iter().map(|taking| taking.key));
        let mut tables: SmallVec<[usize; HITS_INLINE]> = SmallVec::new();
        tables.extend(takings.iter().map(|taking| locked.position(taking.key)));
        let fit = |(taking, &table): (&Taking<'_>, &usize)| {
            let cell = find(&mut locked.guards[table].1, taking.key);
            match cell {
                Some(cell) if now < cell.expires_at() => taking.fit(cell, now),
                other => taking.fit(&taking.fresh(other, now), now),
            }
        };
        let fits: SmallVec<[Fit; HITS_INLINE]> = takings.iter().zip(&tables).map(fit).collect();
        let mut fitted = takings.iter().zip(&fits);
        let admitted = fitted.all(|(taking, &fit)| taking.admits(fit));
        let (mut outcomes, mut ticket) = (SmallVec::new(), None);
        for ((taking, &table), &fit) in takings.iter().zip(&tables).zip(&fits) {
            let (shard, table) = &mut locked.guards[table];
            let mut fresh = None;
            let cell = match find(table, taking.key) {
                Some(cell) if now < cell.expires_at() => cell,
                other => fresh.insert(taking.fresh(other, now)),
            };
            if admitted {
                ticket = ticket.max(self.charge(cell, taking, *shard, now));
            }
            outcomes.push(taking.outcome(cell, fit, admitted, now));
            if let Some(fresh) = fresh.filter(|_| admitted) {
                put(table, taking.key, fresh);
            }
        }
        Taken { admitted, outcomes, ticket }
    }

    fn charge(
        &self,
        cell: &mut Cell,
        taking: &Taking<'_>,
        shard: usize,
        now: Timestamp,
    ) -> Option<Ticket> {
        let mut kept = cell.kept();
        let keeper = self.keeper.as_ref();
        let ticket =
            keeper.and_then(|keeper| keeper.keep(taking.terms.limit, shard, taking.key, &mut kept));
        cell.change(
            |state| {
                algorithm::charge(&taking.terms, state, now, taking.cost);
                algorithm::expires_at(&taking.terms, state, now)
            },
            kept,
        );
        ticket
    }
}

fn find(table: &mut Table, key: CounterKey) -> Option<&mut Cell> {
    let found = table.get_mut(key.table_hash(), |(other, _)| *other == key);
    found.map(|(_, cell)| cell.get_mut())
}

fn put(table: &mut Table, key: CounterKey, cell: Cell) {
    match find(table, key) {
        Some(expired) => *expired = cell,
        None => Memory::insert(table, key, cell),
    }
}

//! What was charged or held under an id, put right: settled at its true cost, or given back.
//!
//! What is given back goes into the window that it came from, or nowhere if that has closed.

use crate::audit::Who;
use crate::limiter::{self, Order, Then};
use crate::rules::end_of;
use crate::store::ledger::{Item, Receipt};
use crate::time::Timestamp;

use super::charge::{HITS_MAX, REMEMBERED_US};
use super::made::{Made, on_disk};
use super::{Quota, Refusal, Subject, id, resolve};

/// A reservation that was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What it has cost in the end.
    pub hits: u64,
    /// It was settled so before, and nothing changed.
    pub repeated: bool,
    pub limits: Vec<SettledLimit>,
}

/// A charge of which something was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    /// What it was charged for.
    pub hits: u64,
    /// Of these so many are given back by now.
    pub refunded: u64,
    /// So many were before, and nothing changed.
    pub repeated: bool,
    pub limits: Vec<SettledLimit>,
}

/// What one limit has of it by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledLimit {
    /// Rule and limit name.
    pub limit: String,
    /// What is charged to it.
    pub charged: u64,
    /// What was put back since it was first charged.
    pub put_back: u64,
}

/// What became of a receipt.
struct Outcome {
    receipt: Receipt,
    repeated: bool,
    made: Made,
}

impl Quota {
    /// Settles a reservation at its true cost: more is charged beyond the budget if need be, and
    /// the rest goes back. The same once more changes nothing.
    pub async fn commit(
        &self,
        who: Who,
        subject: &Subject<'_>,
        id: &str,
        hits: u64,
    ) -> Result<Settled, Refusal> {
        if HITS_MAX < hits {
            return Err(Refusal::Invalid(format!("{hits} hits are more than {HITS_MAX}")));
        }
        self.end(who, ("commit", subject, id), hits).await
    }

    /// Ends a reservation that cost nothing.
    pub async fn cancel(
        &self,
        who: Who,
        subject: &Subject<'_>,
        id: &str,
    ) -> Result<Settled, Refusal> {
        self.end(who, ("cancel", subject, id), 0).await
    }

    /// Gives back a charge or a settled reservation, or so many hits of it in all. Never more than
    /// it was charged for, and the same once more changes nothing.
    pub async fn refund(
        &self,
        who: Who,
        subject: &Subject<'_>,
        id: &str,
        hits: Option<u64>,
    ) -> Result<Refunded, Refusal> {
        let mut outcome = self.put_right(subject, id, |receipt, _| refund(receipt, hits))?;
        outcome.made.details.push(("refunded", outcome.receipt.refunded.to_string()));
        let (receipt, repeated) = self.written_down(who, "refund", outcome).await?;
        let Receipt { hits, refunded, items, .. } = receipt;
        Ok(Refunded { hits, refunded, repeated, limits: limits(&items) })
    }

    async fn end(
        &self,
        who: Who,
        (what, subject, id): (&str, &Subject<'_>, &str),
        hits: u64,
    ) -> Result<Settled, Refusal> {
        let order = |receipt: &Receipt, now| settle(receipt, hits, now);
        let mut outcome = self.put_right(subject, id, order)?;
        outcome.made.synced = false;
        outcome.made.details.push(("hits", hits.to_string()));
        let (Receipt { hits, items, .. }, repeated) = self.written_down(who, what, outcome).await?;
        Ok(Settled { hits, repeated, limits: limits(&items) })
    }

    async fn written_down(
        &self,
        who: Who,
        what: &str,
        Outcome { receipt, repeated, made }: Outcome,
    ) -> Result<(Receipt, bool), Refusal> {
        if repeated {
            on_disk(&self.gate, made.ticket).await?;
        } else {
            self.write(who, what, made).await?;
        }
        Ok((receipt, repeated))
    }

    /// Has `order` say what is to become of the receipt under this id; nothing, if it is so by now.
    /// The rules are held for this long and no longer: not across a wait.
    fn put_right(
        &self,
        subject: &Subject<'_>,
        id: &str,
        order: impl Fn(&Receipt, Timestamp) -> Result<Option<Order>, Refusal>,
    ) -> Result<Outcome, Refusal> {
        self.restored()?;
        let (rules, now) = (self.gate.rules(), self.gate.now());
        let domain = resolve::domain(&rules, subject)?;
        let key = id::receipt(id::identity(&rules, domain, subject, id)?);
        let (memory, mut found) = (self.gate.memory(), None);
        let settlement = limiter::settle(domain, memory, key, now, |receipt| {
            let (order, refusal) = match order(receipt, now) {
                Ok(order) => (order, None),
                Err(refusal) => (None, Some(refusal)),
            };
            found = Some(refusal.map_or_else(|| Ok(receipt.clone()), Err));
            order
        });
        let mut made = Made::of(domain, subject, now);
        made.details.push(("id", end_of(id)));
        let found = found.unwrap_or_else(|| Err(unknown()))?;
        Ok(match settlement {
            Some(settlement) => {
                made.ticket = settlement.ticket;
                Outcome { receipt: settlement.receipt, repeated: false, made }
            }
            None => {
                // Who asks again may not have been answered before, and waits for the same.
                made.ticket = memory.ledger().open(&[key]).write_soon(key);
                Outcome { receipt: found, repeated: true, made }
            }
        })
    }
}

fn settle(receipt: &Receipt, hits: u64, now: Timestamp) -> Result<Option<Order>, Refusal> {
    if !receipt.reserved {
        let what = "this id is of a charge, which is final; it can be refunded";
        return Err(Refusal::Conflict(what.into()));
    }
    if receipt.open {
        let until = Some(now.plus(REMEMBERED_US));
        return Ok(Some(Order { hits, then: Then::Keep { hits, refunded: 0, until } }));
    }
    if receipt.hits == hits {
        return Ok(None);
    }
    let what = format!("this reservation was settled before, at {} hits", receipt.hits);
    Err(Refusal::Exists(what))
}

/// `hits` are those that are to be given back in all, so that asking twice gives back once.
fn refund(receipt: &Receipt, hits: Option<u64>) -> Result<Option<Order>, Refusal> {
    if receipt.open {
        let what = "this reservation is not settled yet; cancel it, or commit it first";
        return Err(Refusal::Conflict(what.into()));
    }
    let refunded = hits.unwrap_or(receipt.hits).min(receipt.hits);
    if refunded <= receipt.refunded {
        return Ok(None);
    }
    let then = Then::Keep { hits: receipt.hits, refunded, until: None };
    Ok(Some(Order { hits: receipt.hits - refunded, then }))
}

fn unknown() -> Refusal {
    let what = "nothing is known of this id: it was never charged or held, was refused, or is over";
    Refusal::NotFound(what.into())
}

fn limits(items: &[Item]) -> Vec<SettledLimit> {
    let limit = |item: &Item| SettledLimit {
        limit: item.label.clone(),
        charged: item.charged().saturating_add(item.kept),
        put_back: item.put_back,
    };
    items.iter().map(limit).collect()
}

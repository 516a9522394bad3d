//! Who is kept out of a call, and what of it counts towards keeping somebody out.
//!
//! Bans are looked up ahead of the decision, and offences are counted behind it: in between the
//! ledger may be open for other notes, and whoever holds it open must not open it again.

use std::cmp::Reverse;
use std::ops::Range;

use smallvec::SmallVec;

use crate::guard::{Offence, Past};
use crate::limit::{Durability, OnExceed};
use crate::query::{Descriptor, Entries, Hits, Query};
use crate::rules::{Ban, Domain, Rule, Stance};
use crate::store::ledger::{self, Kind, Ledger, Note, NoteKey, Offences, Open};
use crate::store::{Applied, Room};
use crate::time::Timestamp;

use super::resolve::Resolved;
use super::verdict::{Standing, Status};

/// A descriptor of somebody who is kept out.
#[derive(Clone, Copy, Debug)]
pub struct Barred<'r> {
    pub descriptor: usize,
    pub rule: &'r Rule,
    pub until: Timestamp,
}

/// A rule with bans that a descriptor is held to.
#[derive(Clone, Debug)]
pub struct Watched<'r> {
    pub descriptor: usize,
    pub rule: &'r Rule,
    pub stance: Stance,
    /// Its limits.
    pub hits: Range<usize>,
}

/// The keys of the notes about one ban: itself, and what counts towards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Keys {
    ban: NoteKey,
    offences: NoteKey,
}

impl Barred<'_> {
    pub fn status<'a>(self, now: Timestamp) -> Status<'a>
    where
        Self: 'a,
    {
        let standing = Standing::Banned { rule: &self.rule.name, reset_us: self.until.since(now) };
        Status { refused: true, standing }
    }
}

impl<'r: 'c, 'c> Resolved<'r, 'c> {
    /// Finds the bans that meet this call: all of the domain, whichever rules it is for.
    pub fn bar(&mut self, domain: &'r Domain, descriptors: &[Descriptor<'_>], ledger: &Ledger) {
        if domain.banning().len() == 0 || ledger.count(Kind::Ban) == 0 {
            return;
        }
        for (descriptor, asked) in descriptors.iter().enumerate() {
            let barred = domain.banning().filter_map(|rule| {
                let until = until(rule, &asked.entries, ledger, self.now)?;
                Some(Barred { descriptor, rule, until })
            });
            // Whoever is kept out twice may come back when the longer ban ends.
            self.barred.extend(barred.min_by_key(|barred| Reverse(barred.until)));
        }
    }

    /// The ban that meets a descriptor.
    pub fn barred(&self, descriptor: usize) -> Option<Barred<'r>> {
        self.barred.iter().find(|barred| barred.descriptor == descriptor).copied()
    }

    /// Counts what this call did towards bans, and says whose bans fell for it. A call that is
    /// refused by a ban counts for nothing.
    pub fn offend(&self, applied: &Applied, query: &Query<'_>, ledger: &Ledger) -> Vec<&'r Rule> {
        let (mut fallen, mut refused) = (Vec::new(), SmallVec::<[NoteKey; 2]>::new());
        if !self.barred.is_empty() {
            return fallen;
        }
        for watched in &self.watched {
            let asked = &query.descriptors[watched.descriptor];
            let Some(ban) = watched.rule.ban.as_deref() else { continue };
            let Some(what) = self.offence(watched, ban, applied, asked) else { continue };
            let Some(keys) = keys(watched.rule, &asked.entries) else { continue };
            if matches!(ban.terms.offence, Offence::Refusals(_)) {
                // One call is refused once, for however many descriptors.
                if refused.contains(&keys.ban) {
                    continue;
                }
                refused.push(keys.ban);
            }
            let note = || note(query.domain, watched, &asked.entries);
            if count(&mut ledger.open(&[keys.ban, keys.offences]), keys, ban, what, self.now, note)
            {
                fallen.push(watched.rule);
            }
        }
        fallen
    }

    /// How often a descriptor offended, or the hash of the value it showed; none if it did not. To
    /// ask how things stand is no offence, and neither is a repeat.
    fn offence(
        &self,
        watched: &Watched<'_>,
        ban: &Ban,
        applied: &Applied,
        asked: &Descriptor<'_>,
    ) -> Option<u64> {
        let Hits::Take(hits @ 1..) = asked.hits else { return None };
        let repeated = |hits: &Range<usize>| !hits.is_empty() && *hits == watched.hits;
        if self.known.iter().any(|known| !known.is_new && repeated(&known.hits)) {
            return None;
        }
        match &ban.terms.offence {
            Offence::Refusals(_) => {
                let would_refuse = |at: usize| {
                    let hit = &self.hits[at];
                    let heard = hit.demand > 0 && hit.terms.on_exceed != OnExceed::Allow;
                    heard && applied.outcomes[at].room != Room::Enough
                };
                watched.hits.clone().any(would_refuse).then_some(1)
            }
            Offence::Hits(_) | Offence::Spike(_) => Some(hits),
            Offence::Distinct { entry, .. } => asked.entries.get(entry).map(|it| ban.hash(it)),
        }
    }
}

fn keys(rule: &Rule, entries: &Entries<'_>) -> Option<Keys> {
    let identity = rule.banned_identity(entries)?;
    let key = |kind| NoteKey::of_identity(kind, identity);
    Some(Keys { ban: key(Kind::Ban), offences: key(Kind::Offences) })
}

/// Until when a rule keeps these entries out, if it does.
fn until(rule: &Rule, entries: &Entries<'_>, ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    let key = NoteKey::of_identity(Kind::Ban, rule.banned_identity(entries)?);
    let until = match ledger.open(&[key]).get(key, now)? {
        Note::Ban(ban) if !ban.shadow => Timestamp::from_micros(ban.until_us),
        _ => return None,
    };
    let enforced =
        || rule.force.is_whole() || rule.force.stance(rule.identity(entries)) == Stance::Enforced;
    (now < until && enforced()).then_some(until)
}

/// Counts one offence; true if a ban falls for it. While one is in force, be it only shown, nothing
/// counts towards the next.
fn count(
    notes: &mut Open<'_>,
    keys: Keys,
    ban: &Ban,
    what: u64,
    now: Timestamp,
    note: impl FnOnce() -> ledger::Ban,
) -> bool {
    let last = match notes.get(keys.ban, now) {
        Some(Note::Ban(last)) => {
            Some(Past { until: Timestamp::from_micros(last.until_us), strikes: last.strikes })
        }
        _ => None,
    };
    if last.is_some_and(|last| now < last.until) {
        return false;
    }
    let mut tally = match notes.get(keys.offences, now) {
        Some(Note::Offences(Offences(tally))) if ban.terms.knows(tally, what, now) => return false,
        Some(Note::Offences(Offences(tally))) => tally.clone(),
        _ => Default::default(),
    };
    let falls = ban.terms.add(&mut tally, what, now);
    let tally_until = now.plus(ban.terms.tally_lasts_us());
    let tally = Note::Offences(Offences(tally));
    notes.put_if_room(keys.offences, tally, tally_until, Durability::Ordinary);
    if falls {
        let term = ban.terms.next(last, now);
        let (since_us, until_us) = (now.as_micros(), term.until.as_micros());
        let ban_note = ledger::Ban { since_us, until_us, strikes: term.strikes, ..note() };
        let remembered_until = term.until.plus(ban.terms.up_to_us);
        notes.put(keys.ban, Note::Ban(ban_note), remembered_until, Durability::Ordinary);
    }
    falls
}

/// What is told of a ban that falls, but for its times.
fn note(domain: &str, watched: &Watched<'_>, entries: &Entries<'_>) -> ledger::Ban {
    let rule = watched.rule;
    ledger::Ban {
        domain: domain.to_owned(),
        rule: rule.name.to_string(),
        values: rule.counted(entries),
        why: rule.ban.as_ref().map(|ban| ban.terms.offence.to_string()).unwrap_or_default(),
        since_us: 0,
        until_us: 0,
        strikes: 0,
        shadow: watched.stance != Stance::Enforced,
    }
}

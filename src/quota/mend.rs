//! Counters that people change, together with what is noted about them.

use crate::limit::{Algorithm, Durability};
use crate::limiter;
use crate::store::journal::Ticket;
use crate::store::ledger::{Archive, Kind, Note, Open, Reset};
use crate::store::{Change, Memory, Mended, NoteKey};
use crate::time::{SECOND_US, Timestamp};

use super::made::Made;
use super::resolve::Target;
use super::{Changed, Refusal};

/// What is noted about a counter and goes with it. What was charged under an id is not found by
/// its counter, and expires.
const ABOUT: [Kind; 3] = [Kind::Archive, Kind::Grant, Kind::Alerted];

/// The longest that a receipt can still be settled or refunded for: a hold's longest span.
const RECEIPTS_LAST_US: u64 = 7 * 24 * 3600 * SECOND_US;

/// Makes one change of all these counters. Archives learn what their open window holds now.
pub fn mend(
    memory: &Memory,
    targets: &[Target<'_>],
    change: Change,
    mut made: Made,
) -> Result<Made, Refusal> {
    for target in targets {
        let key = NoteKey::of_counter(Kind::Archive, target.key);
        let archived = target.terms.limit.archive;
        let resets = matches!(change, Change::Set(_) | Change::Remove) && settles(memory, target);
        let keys = [key, reset_key(target)];
        let mut notes = memory.ledger().open(if archived || resets { &keys } else { &[] });
        let mended = memory.mend(target.key, &target.terms, change, made.at)?;
        if archived {
            let ticket = archive(&mut notes, key, target, (&made.domain, &mended), made.at);
            made.ticket = made.ticket.max(ticket);
        }
        if resets {
            made.ticket = made.ticket.max(note_reset(&mut notes, target, made.at));
        }
        made.keep(target, &mended);
    }
    Ok(made)
}

/// Removes all these counters and what is noted about them.
pub fn erase(memory: &Memory, targets: &[Target<'_>], mut made: Made) -> Result<Made, Refusal> {
    for target in targets {
        let keys = ABOUT.map(|kind| NoteKey::of_counter(kind, target.key));
        let resets = settles(memory, target);
        let mut notes = memory.ledger().open(&[&keys[..], &[reset_key(target)]].concat());
        let mended = memory.mend(target.key, &target.terms, Change::Remove, made.at)?;
        for key in keys {
            made.ticket = made.ticket.max(notes.remove(key, Durability::Strict).1);
        }
        if resets {
            made.ticket = made.ticket.max(note_reset(&mut notes, target, made.at));
        }
        made.keep(target, &mended);
    }
    Ok(made)
}

/// Whether a receipt may put something back into this counter. Slots are told apart by their ids,
/// so that nobody puts back another's.
fn settles(memory: &Memory, target: &Target<'_>) -> bool {
    let slots = matches!(target.terms.limit.algorithm, Algorithm::Concurrency);
    !slots && memory.ledger().count(Kind::Receipt) > 0
}

fn reset_key(target: &Target<'_>) -> NoteKey {
    NoteKey::of_counter(Kind::Reset, target.key)
}

/// Notes that earlier receipts have nothing left in this counter, for as long as there are any. It
/// says nothing of anybody, and so it is left behind by what is erased.
fn note_reset(notes: &mut Open<'_>, target: &Target<'_>, now: Timestamp) -> Option<Ticket> {
    let note = Note::Reset(Reset { at_us: now.as_micros() });
    notes.put(reset_key(target), note, now.plus(RECEIPTS_LAST_US), Durability::Strict)
}

impl Made {
    fn keep(&mut self, target: &Target<'_>, mended: &Mended) {
        self.ticket = self.ticket.max(mended.ticket);
        self.counters.push(Changed {
            limit: target.label().to_owned(),
            before: mended.before.used,
            after: mended.after.used,
        });
    }
}

fn archive(
    notes: &mut Open<'_>,
    key: NoteKey,
    target: &Target<'_>,
    (domain, mended): (&str, &Mended),
    now: Timestamp,
) -> Option<Ticket> {
    let archive = match notes.get(key, now) {
        Some(Note::Archive(archive)) => archive.clone(),
        _ if mended.after.used == 0 => return None,
        _ => Archive {
            domain: domain.to_owned(),
            label: target.label().to_owned(),
            values: target.values.clone(),
            windows: Default::default(),
        },
    };
    let window = (mended.after.used, now.plus(mended.after.reset_us));
    limiter::note_window(notes, key, archive, &target.terms, window, now);
    notes.write_soon(key)
}

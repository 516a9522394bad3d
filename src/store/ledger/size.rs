//! What a note takes of memory, and which notes are let in when there is none.
//!
//! Sizes are those of what is held, and not of what the allocator rounds them up to.

use crate::guard::{REGISTERS, Sketch, Slice};

use super::note::{Closed, Item, Note};
use super::{NoteKey, Slot};

/// A place in a map: the map is half empty at worst and an eighth at best.
const PLACE_BYTES: usize = size_of::<(NoteKey, Slot)>() * 3 / 2;

/// What becomes of a new note when there is little room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It takes room where counters do, and no more than they may: what strangers can cause.
    AsCounters,
    /// It takes what counters leave: what was taken of counters that are there.
    Kept,
    /// It is written in any case: what people say, and what follows from notes that are there.
    Always,
}

impl Note {
    /// Bytes, its place included.
    pub(super) fn bytes(&self) -> usize {
        PLACE_BYTES + self.heap_bytes()
    }

    pub(super) fn claim(&self) -> Claim {
        match self {
            Note::Archive(_) | Note::Offences(_) => Claim::AsCounters,
            Note::Receipt(_) | Note::Once => Claim::Kept,
            Note::Grant(_)
            | Note::Alerted(_)
            | Note::Ban(_)
            | Note::Row(_)
            | Note::Switch(_)
            | Note::Reset(_) => Claim::Always,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Note::Receipt(receipt) => {
                let items = receipt.items.capacity() * size_of::<Item>();
                let labels = receipt.items.iter().map(|item| item.label.len()).sum::<usize>();
                receipt.domain.len() + items + labels
            }
            Note::Grant(grant) => texts(&[&grant.domain, &grant.label]) + pairs(&grant.values),
            Note::Archive(archive) => {
                let windows = archive.windows.capacity() * size_of::<Closed>();
                texts(&[&archive.domain, &archive.label]) + pairs(&archive.values) + windows
            }
            Note::Ban(ban) => texts(&[&ban.domain, &ban.rule, &ban.why]) + pairs(&ban.values),
            Note::Offences(offences) => {
                let stamps = offences.0.stamps.0.capacity() * size_of::<(u64, u64)>();
                stamps + offences.0.seen.0.iter().map(slice_bytes).sum::<usize>()
            }
            Note::Row(row) => texts(&[&row.domain, &row.key, &row.text]),
            Note::Switch(switch) => texts(&[&switch.domain, &switch.rule, &switch.mode]),
            Note::Once | Note::Alerted(_) | Note::Reset(_) => 0,
        }
    }
}

fn texts(texts: &[&str]) -> usize {
    texts.iter().map(|text| text.len()).sum()
}

fn pairs(pairs: &[(String, String)]) -> usize {
    let text = |(key, value): &(String, String)| key.len() + value.len();
    size_of_val(pairs) + pairs.iter().map(text).sum::<usize>()
}

fn slice_bytes(slice: &Slice) -> usize {
    let sketch = match &slice.sketch {
        Sketch::Few(hashes) => hashes.capacity() * size_of::<u64>(),
        Sketch::Many(_) => REGISTERS,
    };
    size_of::<Slice>() + sketch
}

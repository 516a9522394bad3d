//! The ledger's side of the journal: which notes changed, and copies of them to be written.

use crate::key::CounterKey;
use crate::store::journal::format::{Blocks, Record};
use crate::time::Timestamp;

use super::{LEDGER_SHARDS, Ledger, Note, NoteKey, Slot};

/// A note that this release cannot read.
#[derive(Debug, thiserror::Error)]
#[error("a note cannot be read: {0}")]
pub struct Unreadable(#[from] serde_json::Error);

impl Ledger {
    /// Adds the notes of a shard that changed since this was last asked, and ahead of each the
    /// counters of which it says what was taken, by `charged`.
    pub fn take_changed(&self, shard: usize, blocks: &mut Blocks, charged: AddCounter<'_>) {
        let mut shard = self.lock(shard);
        for key in std::mem::take(&mut shard.changed) {
            write(key, shard.notes.get_mut(&key), blocks, charged);
        }
    }

    /// Adds one note as it is now, or the fact that it is gone; ahead of it the same.
    pub fn copy(&self, key: NoteKey, blocks: &mut Blocks, charged: AddCounter<'_>) {
        write(key, self.lock(key.shard()).notes.get_mut(&key), blocks, charged);
    }

    /// Adds every note of a shard that has not expired.
    pub fn copy_kept(&self, shard: usize, now: Timestamp, blocks: &mut Blocks) {
        let shard = self.lock(shard);
        for (key, slot) in shard.notes.iter().filter(|(_, slot)| now < slot.expires_at) {
            if let Some(bytes) = encode(&slot.note) {
                blocks.note(*key, slot.expires_at, bytes);
            }
        }
    }

    /// Puts a note back as it was written.
    pub fn restore(
        &self,
        key: NoteKey,
        expires_at: Timestamp,
        bytes: &[u8],
    ) -> Result<(), Unreadable> {
        let note: Note = serde_json::from_slice(bytes)?;
        self.come(&note);
        let slot = Slot { note, expires_at, changed: false };
        if let Some(old) = self.lock(key.shard()).notes.insert(key, slot) {
            self.gone(&old.note);
        }
        Ok(())
    }

    /// Takes a note away, as reading a journal asks for.
    pub fn forget(&self, key: NoteKey) {
        if let Some(old) = self.lock(key.shard()).notes.remove(&key) {
            self.gone(&old.note);
        }
    }

    /// Notes held, expired ones that were not swept yet included.
    pub fn len(&self) -> usize {
        (0..LEDGER_SHARDS).map(|shard| self.lock(shard).notes.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A larger note would make a block that no reader takes. Values of callers are bounded, and what
/// a call took is told of so many limits at most; only somebody who means harm comes near this.
const NOTE_BYTES_MAX: usize = 512 << 10;

/// Adds a counter as it is now, if the journal keeps it.
pub type AddCounter<'a> = &'a mut dyn FnMut(CounterKey, &mut Blocks);

/// A receipt without the charge that it speaks of would give back what others have used, once it
/// is settled after a crash. So the counters go first; the note's lock, which every decision takes
/// ahead of its counters, keeps them as the note has them.
fn write(key: NoteKey, slot: Option<&mut Slot>, blocks: &mut Blocks, charged: AddCounter<'_>) {
    match slot {
        Some(slot) => {
            slot.changed = false;
            if let Note::Receipt(receipt) = &slot.note {
                let counters = receipt.items.iter().map(|item| CounterKey::from_u128(item.counter));
                counters.for_each(|counter| charged(counter, blocks));
            }
            match encode(&slot.note) {
                Some(bytes) => blocks.note(key, slot.expires_at, bytes),
                None => blocks.push(&Record::NoteGone { key }),
            }
        }
        None => blocks.push(&Record::NoteGone { key }),
    }
}

/// The note as it is written; none if it is too large to be.
fn encode(note: &Note) -> Option<Vec<u8>> {
    // Notes are plain data with text for names, which JSON always can say.
    let bytes = serde_json::to_vec(note).expect("a note is plain data");
    if NOTE_BYTES_MAX < bytes.len() {
        tracing::error!(bytes = bytes.len(), kind = ?note.kind(), "a note is too large to be kept");
        return None;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::limit::Durability;
    use crate::store::journal::format::read_blocks;
    use crate::store::ledger::Row;

    use super::*;

    #[test]
    fn a_note_that_fits_into_no_block_costs_no_other() {
        // It made a block that was longer than any may be, and all of it was damage to the next
        // start.
        let ledger = Ledger::new(None, Arc::default());
        let [large, small] = [1, 1 + LEDGER_SHARDS as u128].map(NoteKey::from_u128);
        for (key, bytes) in [(large, 2 << 20), (small, 10)] {
            let (domain, name, text) = ("d".into(), "a".into(), "x".repeat(bytes));
            let note = Note::Row(Row { domain, key: name, text });
            ledger.open(&[key]).put(key, note, Timestamp::from_secs(9), Durability::Ordinary);
        }
        let mut blocks = Blocks::default();
        ledger.copy_kept(1, Timestamp::EPOCH, &mut blocks);
        let kept = read_blocks(&blocks.take());
        assert!(matches!(&kept[..], [Record::Note { key, .. }] if *key == small), "{kept:?}");
    }
}

//! What a store remembers besides counters: few, larger things, each a value under its own key.
//!
//! Receipts of what calls took, grants, closed windows, bans, rows that people set. A decision that
//! concerns any locks their shards, each once and in ascending order, ahead of its counters, and
//! keeps them locked until it is made: so a note and the counters it speaks of change together.
//! Knows keys, moments and the journal; what a note means is for those who write it.

mod keep;
mod note;
mod offences;
mod size;

pub use self::keep::Unreadable;
pub use self::note::{
    Alerted, Archive, Ban, Closed, Grant, Item, Kind, Mark, Note, Part, Receipt, Reset, Row, Switch,
};
pub use self::offences::Offences;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::key::{CounterKey, Identity};
use crate::limit::Durability;
use crate::time::Timestamp;

use super::journal::{Handed, Shared, Ticket};
use super::space::Space;

use self::size::Claim;

/// Notes are far fewer than counters and are held for longer, since a decision may hold several:
/// this many locks are seldom met by two calls at once.
pub const LEDGER_SHARDS: usize = 256;

/// The numbers stand alone: no other memory is published through them.
const RELAXED: Ordering = Ordering::Relaxed;

/// The key of one note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoteKey(u128);

impl NoteKey {
    pub const fn from_u128(number: u128) -> NoteKey {
        NoteKey(number)
    }

    pub const fn to_u128(self) -> u128 {
        self.0
    }

    /// The note of this kind about a counter. Fingerprints are uniform, so that turning them by a
    /// different number of bits for each kind keeps notes of one counter apart.
    pub const fn of_counter(kind: Kind, key: CounterKey) -> NoteKey {
        NoteKey(key.to_u128().rotate_left(kind as u32 + 1))
    }

    /// The note of this kind about whoever has this identity.
    pub const fn of_identity(kind: Kind, identity: Identity) -> NoteKey {
        NoteKey(identity.to_u128().rotate_left(kind as u32 + 1))
    }

    /// The note of another kind about the same as this one of its kind.
    pub const fn beside(self, own: Kind, other: Kind) -> NoteKey {
        NoteKey(self.0.rotate_right(own as u32 + 1).rotate_left(other as u32 + 1))
    }

    fn shard(self) -> usize {
        self.0 as usize % LEDGER_SHARDS
    }
}

/// A note and until when it counts.
#[derive(Clone, Debug)]
struct Slot {
    note: Note,
    expires_at: Timestamp,
    /// Whether it stands in the list of those that the journal has not got.
    changed: bool,
}

#[derive(Debug, Default)]
struct Shard {
    notes: HashMap<NoteKey, Slot, RandomState>,
    /// Notes that changed since the journal took them last.
    changed: Vec<NoteKey>,
}

/// All notes of one store.
pub struct Ledger {
    shards: Box<[Mutex<Shard>]>,
    /// How many notes there are of each kind: most often none, and nobody then looks for one.
    counts: [AtomicUsize; Kind::COUNT],
    journal: Option<Arc<Shared>>,
    /// The memory that notes share with counters.
    space: Arc<Space>,
}

impl Ledger {
    pub fn new(journal: Option<Arc<Shared>>, space: Arc<Space>) -> Ledger {
        let shards = (0..LEDGER_SHARDS).map(|_| Mutex::default()).collect();
        Ledger { shards, counts: Default::default(), journal, space }
    }

    /// Locks these notes, be they there or not, until the result is dropped. Whoever holds one
    /// lock of a ledger or of counters must not open another.
    pub fn open(&self, keys: &[NoteKey]) -> Open<'_> {
        if keys.is_empty() {
            return Open { ledger: self, guards: SmallVec::new() };
        }
        let mut numbers: SmallVec<[usize; 4]> = keys.iter().map(|key| key.shard()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let guards = numbers.into_iter().map(|number| (number, self.lock(number))).collect();
        Open { ledger: self, guards }
    }

    /// A copy of a note that has not expired.
    pub fn get(&self, key: NoteKey, now: Timestamp) -> Option<Note> {
        self.open(&[key]).get(key, now).cloned()
    }

    /// How many notes of a kind there are, expired ones that were not swept yet included.
    pub fn count(&self, kind: Kind) -> usize {
        self.counts[kind as usize].load(RELAXED)
    }

    /// Copies of all notes of a kind that have not expired, in no order.
    pub fn all(&self, kind: Kind, now: Timestamp) -> Vec<(NoteKey, Timestamp, Note)> {
        if self.count(kind) == 0 {
            return Vec::new();
        }
        (0..LEDGER_SHARDS).flat_map(|number| self.of_shard(number, kind, now)).collect()
    }

    /// Goes through the notes of a kind that have not expired, shard by shard and without copying
    /// any. What is done with one is done under its lock, and must open no other.
    pub fn each(&self, kind: Kind, now: Timestamp, mut each: impl FnMut(&Note)) {
        if self.count(kind) == 0 {
            return;
        }
        for number in 0..LEDGER_SHARDS {
            let shard = self.lock(number);
            let live = shard.notes.values().filter(|slot| now < slot.expires_at);
            live.filter(|slot| slot.note.kind() == kind).for_each(|slot| each(&slot.note));
        }
    }

    /// Copies of those in one shard, for whoever does not want all at once.
    pub fn of_shard(
        &self,
        number: usize,
        kind: Kind,
        now: Timestamp,
    ) -> Vec<(NoteKey, Timestamp, Note)> {
        let shard = self.lock(number);
        let live = shard.notes.iter().filter(|(_, slot)| now < slot.expires_at);
        let of_kind = live.filter(|(_, slot)| slot.note.kind() == kind);
        of_kind.map(|(key, slot)| (*key, slot.expires_at, slot.note.clone())).collect()
    }

    /// Drops the expired notes of one shard.
    pub fn sweep(&self, shard: usize, now: Timestamp) {
        let mut shard = self.lock(shard);
        shard.notes.retain(|_, slot| {
            let live = now < slot.expires_at;
            if !live {
                self.gone(&slot.note);
            }
            live
        });
    }

    /// Whether a new note finds memory; one that does not is counted.
    fn has_room(&self, note: &Note) -> bool {
        let found = match note.claim() {
            Claim::AsCounters => self.space.has_for_counters(note.bytes()),
            Claim::Kept => self.space.has(note.bytes()),
            Claim::Always => true,
        };
        if !found {
            self.space.count_note_left_out();
        }
        found
    }

    /// Counts a note that has come.
    fn come(&self, note: &Note) {
        self.counts[note.kind() as usize].fetch_add(1, RELAXED);
        self.space.take(note.bytes());
    }

    /// Counts a note that has gone.
    fn gone(&self, note: &Note) {
        self.counts[note.kind() as usize].fetch_sub(1, RELAXED);
        self.space.give_back(note.bytes());
    }

    /// A poisoned lock means that somebody died between two whole steps; what it guards is sound.
    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Notes hold values that customers choose, and some are secrets.
        f.debug_struct("Ledger").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Some notes, locked.
pub struct Open<'a> {
    ledger: &'a Ledger,
    guards: SmallVec<[(usize, MutexGuard<'a, Shard>); 2]>,
}

impl fmt::Debug for Open<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open")
    }
}

impl Open<'_> {
    /// A note that has not expired.
    pub fn get(&self, key: NoteKey, now: Timestamp) -> Option<&Note> {
        let slot = self.shard(key).notes.get(&key)?;
        (now < slot.expires_at).then_some(&slot.note)
    }

    /// Until when a note counts.
    pub fn expires_at(&self, key: NoteKey) -> Option<Timestamp> {
        self.shard(key).notes.get(&key).map(|slot| slot.expires_at)
    }

    /// Does as [`Open::put`] if the note is there already or there is memory for it; if not, it is
    /// left out and counted. What is sound to leave out errs on the side of what was charged: a
    /// hold stays at its estimate, a repeat is charged again.
    pub fn put_if_room(
        &mut self,
        key: NoteKey,
        note: Note,
        expires_at: Timestamp,
        durability: Durability,
    ) -> Option<Ticket> {
        let there = self.shard(key).notes.contains_key(&key);
        if !there && !self.ledger.has_room(&note) {
            return None;
        }
        self.put(key, note, expires_at, durability)
    }

    /// Writes a note in place of what was there. A strict one is handed to the journal at once,
    /// and its ticket tells when it is on disk; an ordinary one follows within the promised second.
    pub fn put(
        &mut self,
        key: NoteKey,
        note: Note,
        expires_at: Timestamp,
        durability: Durability,
    ) -> Option<Ticket> {
        self.ledger.come(&note);
        let kept = self.ledger.journal.is_some();
        let (notes, changed) = self.parts(key);
        let listed = notes.get(&key).is_some_and(|slot| slot.changed);
        let list = durability == Durability::Ordinary && !listed;
        let slot = Slot { note, expires_at, changed: listed || list };
        let old = notes.insert(key, slot);
        if list && kept {
            changed.push(key);
        }
        if let Some(old) = old {
            self.ledger.gone(&old.note);
        }
        self.hand_over(key, durability)
    }

    /// Takes a note away; says whether it was there, and what tells that its end is on disk.
    pub fn remove(&mut self, key: NoteKey, durability: Durability) -> (bool, Option<Ticket>) {
        let kept = self.ledger.journal.is_some();
        let (notes, changed) = self.parts(key);
        let Some(old) = notes.remove(&key) else { return (false, None) };
        let unlisted = durability == Durability::Ordinary && !old.changed;
        // The journal finds it gone when it comes to its key.
        if unlisted && kept {
            changed.push(key);
        }
        self.ledger.gone(&old.note);
        (true, self.hand_over(key, durability))
    }

    /// Has a note written at once as it is, for somebody who waits until it is on disk.
    pub fn write_soon(&self, key: NoteKey) -> Option<Ticket> {
        self.hand_over(key, Durability::Strict)
    }

    fn hand_over(&self, key: NoteKey, durability: Durability) -> Option<Ticket> {
        let journal = self.ledger.journal.as_ref()?;
        match durability {
            Durability::Strict => Some(journal.hand_over(Handed::Note(key))),
            Durability::Ordinary => None,
        }
    }

    fn parts(
        &mut self,
        key: NoteKey,
    ) -> (&mut HashMap<NoteKey, Slot, RandomState>, &mut Vec<NoteKey>) {
        let position = self.position(key);
        let Shard { notes, changed } = &mut *self.guards[position].1;
        (notes, changed)
    }

    fn shard(&self, key: NoteKey) -> &Shard {
        &self.guards[self.position(key)].1
    }

    /// Where the guard of this key's shard stands; `open` took one for every key it was given.
    fn position(&self, key: NoteKey) -> usize {
        self.guards.partition_point(|(number, _)| *number < key.shard())
    }
}

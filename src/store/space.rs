//! How much memory there is for counters and notes, how much of it they take, and what did not find
//! any.
//!
//! Counts bytes that were asked for: tables slot by slot, and what lies on the heap beside them.
//! Knows neither what they are for nor what becomes of those that find none.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The part of the ceiling that counters leave to notes, so that a flood of new keys does not take
/// it from holds and ids of those who were there before.
const NOTES_PART: usize = 8;

/// The numbers stand alone: no other memory is published through them.
const RELAXED: Ordering = Ordering::Relaxed;

/// The memory that one store may take. Without a ceiling there is as much as anybody asks for.
#[derive(Debug)]
pub struct Space {
    ceiling: AtomicUsize,
    used: AtomicUsize,
    crowded: AtomicU64,
    notes_left_out: AtomicU64,
}

impl Space {
    /// From now on so many bytes may be used. What is there already stays.
    pub fn limit_to(&self, bytes: usize) {
        self.ceiling.store(bytes, RELAXED);
    }

    /// The bytes that may be used; the largest number there is without a ceiling.
    pub fn ceiling(&self) -> usize {
        self.ceiling.load(RELAXED)
    }

    /// The bytes that are used.
    pub fn used(&self) -> usize {
        self.used.load(RELAXED)
    }

    /// Decisions since the start that were counted in a crowd, for want of a counter of their own.
    pub fn crowded(&self) -> u64 {
        self.crowded.load(RELAXED)
    }

    /// Notes since the start that were not written for want of space.
    pub fn notes_left_out(&self) -> u64 {
        self.notes_left_out.load(RELAXED)
    }

    /// Takes bytes for a table of counters, if there are so many for them.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let most = self.most_for_counters();
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= most);
        self.used.fetch_update(RELAXED, RELAXED, more).is_ok()
    }

    /// Whether counters could have so many more.
    pub(super) fn has_for_counters(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.most_for_counters()
    }

    /// Whether there are so many at all.
    pub(super) fn has(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.ceiling()
    }

    fn most_for_counters(&self) -> usize {
        let ceiling = self.ceiling();
        ceiling - ceiling / NOTES_PART
    }

    /// Takes bytes for what must not be turned away, be they there or not.
    pub(super) fn take(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_add(bytes, RELAXED);
        }
    }

    pub(super) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, RELAXED);
        }
    }

    /// What took so many bytes takes so many now.
    pub(super) fn resize(&self, before: usize, after: usize) {
        self.take(after.saturating_sub(before));
        self.give_back(before.saturating_sub(after));
    }

    pub(super) fn count_crowded(&self) {
        self.crowded.fetch_add(1, RELAXED);
    }

    pub(super) fn count_note_left_out(&self) {
        self.notes_left_out.fetch_add(1, RELAXED);
    }
}

impl Default for Space {
    fn default() -> Space {
        Space {
            ceiling: AtomicUsize::new(usize::MAX),
            used: AtomicUsize::default(),
            crowded: AtomicU64::default(),
            notes_left_out: AtomicU64::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_leave_a_part_to_notes() {
        let space = Space::default();
        space.limit_to(800);
        assert!(space.reserve(700));
        assert!(!space.reserve(1));
        assert!(space.has(100) && !space.has(101));
        assert!(!space.has_for_counters(1));
        space.give_back(1);
        assert!(space.reserve(1));
    }

    #[test]
    fn what_must_not_be_turned_away_goes_beyond_the_ceiling() {
        let space = Space::default();
        space.limit_to(8);
        space.take(100);
        assert_eq!(space.used(), 100);
        assert!(!space.reserve(0));
    }
}

//! Lines of calls that wait for room in a counter: who stands where, and who stands ahead of whom.
//!
//! A call that waits stands in the line of every counter that it needs and that has one, with a
//! number that says when it came. Nothing is charged here and nothing is decided: whoever decides
//! asks what stands ahead, and does so with the lines open, so that nobody else comes or goes
//! meanwhile. Knows keys of counters, and neither limits nor time.

mod place;

pub use self::place::{Ended, Place};

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::key::CounterKey;

/// Calls that wait, over all counters. Each holds a request and a stream, some kilobytes; ten
/// proxies whose circuit breakers stand at the usual 1,024 cannot have more open.
pub const WAITERS_MAX: usize = 10_000;

/// Lines that one call stands in. No rules for people give a call more limits with a queue; a call
/// with more descriptors than that is no request of a customer's.
pub const STANDS_MAX: usize = 16;

/// The number stands alone: no other memory is published through it.
const RELAXED: Ordering = Ordering::Relaxed;

/// All lines of a server.
#[derive(Debug, Default)]
pub struct Lines {
    /// How many wait, so that whoever need not queue takes no lock to see that nobody does.
    waiting: AtomicUsize,
    ends: [AtomicU64; Ended::COUNT],
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Only lines in which somebody stands.
    lines: HashMap<CounterKey, Line>,
    /// The number of whoever comes next.
    next: u64,
    waiting: usize,
    closed: bool,
}

/// Those who wait for one counter, by their numbers: those who came first come first.
type Line = BTreeMap<u64, Waiter>;

#[derive(Debug)]
struct Waiter {
    /// The room it waits for.
    demand: u64,
    woken: Arc<Notify>,
}

/// What stands in a line ahead of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// The room that all of them wait for.
    pub demand: u64,
    pub waiters: usize,
}

/// Calls that waited, by how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub admitted: u64,
    pub refused: u64,
    pub cancelled: u64,
}

impl Lines {
    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(RELAXED)
    }

    pub fn counts(&self) -> Counts {
        let count = |ended: Ended| self.ends[ended as usize].load(RELAXED);
        Counts {
            admitted: count(Ended::Admitted),
            refused: count(Ended::Refused),
            cancelled: count(Ended::Cancelled),
        }
    }

    /// Locks the lines until the result is dropped. Who holds a lock of counters must not ask.
    pub fn open(self: &Arc<Lines>) -> Open<'_> {
        Open { lines: self, book: self.lock() }
    }

    /// Has everybody who waits look again, because something else than time may have made room.
    pub fn wake_all(&self) {
        let book = self.lock();
        book.lines.values().flat_map(BTreeMap::values).for_each(|it| it.woken.notify_one());
    }

    /// From now on nobody waits any longer: who does looks a last time.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake_all();
    }

    /// A poisoned lock means that somebody died between two whole steps; what it guards is sound.
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines, locked.
#[derive(Debug)]
pub struct Open<'a> {
    lines: &'a Arc<Lines>,
    book: MutexGuard<'a, Book>,
}

impl Open<'_> {
    /// What stands ahead of a call before this counter: of a newcomer everybody does.
    pub fn ahead(&self, key: CounterKey, place: Option<&Place>) -> Ahead {
        let Some(line) = self.book.lines.get(&key) else { return Ahead::default() };
        let number = place.map_or(u64::MAX, |place| place.number);
        line.range(..number).fold(Ahead::default(), |sum, (_, waiter)| Ahead {
            demand: sum.demand.saturating_add(waiter.demand),
            waiters: sum.waiters + 1,
        })
    }

    /// Whether there is room for one more who waits at all.
    pub fn takes_newcomers(&self) -> bool {
        self.book.waiting < WAITERS_MAX && !self.book.closed
    }

    pub fn is_closed(&self) -> bool {
        self.book.closed
    }

    /// Has a call stand in these lines, each with what it waits for there. Who had a place keeps
    /// its number, whatever it waits for now.
    pub fn stand(
        &mut self,
        place: Option<Place>,
        stands: impl Iterator<Item = (CounterKey, u64)>,
    ) -> Place {
        let mut place = match place {
            Some(mut place) => {
                self.take_out(&mut place);
                place
            }
            None => self.newcomer(),
        };
        for (key, demand) in stands {
            let waiter = Waiter { demand, woken: place.woken.clone() };
            self.book.lines.entry(key).or_default().insert(place.number, waiter);
            place.keys.push(key);
        }
        place
    }

    fn newcomer(&mut self) -> Place {
        let number = self.book.next;
        self.book.next += 1;
        self.book.waiting += 1;
        self.lines.waiting.store(self.book.waiting, RELAXED);
        Place::new(self.lines.clone(), number)
    }

    /// Ends a wait. Those behind look again: after an admission the next one, who may have come
    /// to stand first, and whom it will be the turn of; else all, since for all there is more room.
    pub fn leave(&mut self, mut place: Place, ended: Ended) {
        self.end(&mut place, ended);
    }

    fn end(&mut self, place: &mut Place, ended: Ended) {
        let behind = if ended == Ended::Admitted { 1 } else { usize::MAX };
        for key in &place.keys {
            let Some(line) = self.book.lines.get(key) else { continue };
            let later = line.range((Bound::Excluded(place.number), Bound::Unbounded));
            later.take(behind).for_each(|(_, waiter)| waiter.woken.notify_one());
        }
        self.take_out(place);
        place.over = true;
        self.book.waiting -= 1;
        self.lines.waiting.store(self.book.waiting, RELAXED);
        self.lines.ends[ended as usize].fetch_add(1, RELAXED);
    }

    /// Has the first in a line look again.
    pub fn wake_first(&self, key: CounterKey) {
        let first = self.book.lines.get(&key).and_then(|line| line.values().next());
        first.inspect(|waiter| waiter.woken.notify_one());
    }

    fn take_out(&mut self, place: &mut Place) {
        for key in place.keys.drain(..) {
            let Some(line) = self.book.lines.get_mut(&key) else { continue };
            line.remove(&place.number);
            if line.is_empty() {
                self.book.lines.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: CounterKey = CounterKey::from_u128(1);
    const B: CounterKey = CounterKey::from_u128(2);

    fn stand(lines: &Arc<Lines>, stands: &[(CounterKey, u64)]) -> Place {
        lines.open().stand(None, stands.iter().copied())
    }

    fn ahead(lines: &Arc<Lines>, key: CounterKey, place: Option<&Place>) -> (u64, usize) {
        let Ahead { demand, waiters } = lines.open().ahead(key, place);
        (demand, waiters)
    }

    #[test]
    fn ahead_of_a_call_stand_those_who_came_before_it() {
        let lines = Arc::new(Lines::default());
        assert_eq!(ahead(&lines, A, None), (0, 0));
        let first = stand(&lines, &[(A, 5), (B, 2)]);
        let second = stand(&lines, &[(A, 1)]);
        assert_eq!(ahead(&lines, A, Some(&first)), (0, 0));
        assert_eq!(ahead(&lines, A, Some(&second)), (5, 1));
        assert_eq!(ahead(&lines, A, None), (6, 2));
        assert_eq!(ahead(&lines, B, None), (2, 1));
        assert_eq!(lines.waiting(), 2);
    }

    #[test]
    fn who_stands_anew_keeps_its_number() {
        // A reload gave a waiting call another counter and sent it to the end of the line.
        let lines = Arc::new(Lines::default());
        let first = stand(&lines, &[(A, 5)]);
        let second = stand(&lines, &[(B, 1)]);
        let first = lines.open().stand(Some(first), [(B, 3)].into_iter());
        assert_eq!(ahead(&lines, B, Some(&second)), (3, 1));
        assert_eq!(ahead(&lines, B, Some(&first)), (0, 0));
        assert_eq!(ahead(&lines, A, None), (0, 0));
        assert_eq!(lines.waiting(), 2);
    }

    #[test]
    fn a_place_that_is_dropped_is_left() {
        let lines = Arc::new(Lines::default());
        drop(stand(&lines, &[(A, 5), (B, 1)]));
        let admitted = stand(&lines, &[(A, 5)]);
        lines.open().leave(admitted, Ended::Admitted);
        assert_eq!((lines.waiting(), ahead(&lines, A, None)), (0, (0, 0)));
        assert_eq!(lines.lock().lines.len(), 0);
        let ended = Counts { admitted: 1, refused: 0, cancelled: 1 };
        assert_eq!(lines.counts(), ended);
    }

    #[tokio::test]
    async fn those_behind_look_again_when_somebody_leaves() {
        let lines = Arc::new(Lines::default());
        let places: Vec<Place> = (0..3).map(|_| stand(&lines, &[(A, 1)])).collect();
        let [first, second, third] = places.try_into().expect("three places");
        lines.open().leave(first, Ended::Admitted);
        second.woken().await;
        let third_woken = tokio::time::timeout(std::time::Duration::ZERO, third.woken()).await;
        assert!(third_woken.is_err(), "nothing has changed for the third");
        drop(second);
        third.woken().await;
    }

    #[tokio::test]
    async fn closed_lines_take_nobody_and_wake_all() {
        let lines = Arc::new(Lines::default());
        let place = stand(&lines, &[(A, 1)]);
        lines.close();
        place.woken().await;
        assert!(!lines.open().takes_newcomers());
    }
}

//! When people are told that there is no memory for new counters, and when that it has ended.
//!
//! Says each once: it begins with the first decision or note that finds none, and has ended when
//! none was turned away for a while. So a flood that comes and goes makes two lines a minute.

use crate::time::{SECOND_US, Timestamp};

/// How long nothing must be turned away before it is over, in microseconds: as long as it takes to
/// look through all counters for expired ones.
const QUIET_US: u64 = 60 * SECOND_US;

/// What was turned away since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnedAway {
    pub decisions: u64,
    pub notes: u64,
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Begins,
    /// So many were turned away meanwhile.
    Ends(TurnedAway),
}

#[derive(Debug, Default)]
pub struct Alarm {
    last: TurnedAway,
    /// What had been turned away before it began, and when it last went on; none while all is well.
    raised: Option<(TurnedAway, Timestamp)>,
}

impl Alarm {
    /// Looks at the numbers as they are now.
    pub fn observe(&mut self, now_is: TurnedAway, now: Timestamp) -> Option<Word> {
        let before = std::mem::replace(&mut self.last, now_is);
        match &mut self.raised {
            None if before != now_is => {
                self.raised = Some((before, now));
                Some(Word::Begins)
            }
            Some((_, went_on)) if before != now_is => {
                *went_on = now;
                None
            }
            Some((began, went_on)) if went_on.plus(QUIET_US) <= now => {
                let decisions = now_is.decisions - began.decisions;
                let notes = now_is.notes - began.notes;
                self.raised = None;
                Some(Word::Ends(TurnedAway { decisions, notes }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_of_once_and_its_end_once() {
        let at = |seconds: u64| Timestamp::from_secs(1_000 + seconds);
        let seen = |decisions| TurnedAway { decisions, notes: 0 };
        let mut alarm = Alarm::default();
        assert_eq!(alarm.observe(seen(0), at(0)), None);
        assert_eq!(alarm.observe(seen(3), at(1)), Some(Word::Begins));
        assert_eq!(alarm.observe(seen(9), at(2)), None);
        assert_eq!(alarm.observe(seen(9), at(61)), None);
        assert_eq!(alarm.observe(seen(10), at(61)), None);
        assert_eq!(alarm.observe(seen(10), at(121)), Some(Word::Ends(seen(10))));
        assert_eq!(alarm.observe(seen(10), at(500)), None);
        assert_eq!(alarm.observe(seen(11), at(501)), Some(Word::Begins));
    }
}

//! The values that notes hold, as they are kept and written.
//!
//! Plain data: numbers of moments are microseconds since the epoch, keys are bare numbers, names
//! are the rules' own. Fields that a later release adds have a default, so that it reads the notes
//! of this one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::algorithm::mend;
use crate::time::Timestamp;

use super::offences::Offences;

/// What a note is about. The numbers are parts of keys and must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Receipt,
    Once,
    Grant,
    Archive,
    Alerted,
    Ban,
    Offences,
    Row,
    Switch,
    Reset,
}

impl Kind {
    pub const COUNT: usize = Kind::Reset as usize + 1;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    Receipt(Receipt),
    /// An id that was charged and is not to be charged again.
    Once,
    Grant(Grant),
    Archive(Archive),
    Alerted(Alerted),
    Ban(Ban),
    Offences(Offences),
    Row(Row),
    Switch(Switch),
    Reset(Reset),
}

impl Note {
    pub fn kind(&self) -> Kind {
        match self {
            Note::Receipt(_) => Kind::Receipt,
            Note::Once => Kind::Once,
            Note::Grant(_) => Kind::Grant,
            Note::Archive(_) => Kind::Archive,
            Note::Alerted(_) => Kind::Alerted,
            Note::Ban(_) => Kind::Ban,
            Note::Offences(_) => Kind::Offences,
            Note::Row(_) => Kind::Row,
            Note::Switch(_) => Kind::Switch,
            Note::Reset(_) => Kind::Reset,
        }
    }
}

/// What one call took of its counters, so that it can be settled at its true cost or given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub domain: String,
    pub items: Vec<Item>,
    /// A fingerprint of what was asked, so that an id used for something else is found out.
    #[serde(default)]
    pub arguments: u64,
    /// Hits that the call was charged for, by what is known now.
    #[serde(default)]
    pub hits: u64,
    /// So many of these hits were given back since.
    #[serde(default)]
    pub refunded: u64,
    /// Whether it is still to be settled.
    #[serde(default)]
    pub open: bool,
    /// Whether it was once to be settled.
    #[serde(default)]
    pub reserved: bool,
}

/// What was taken of one counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub counter: u128,
    /// Rule and limit name, by which the limit is found in whatever rules are then in force.
    pub label: String,
    /// The budget that it was taken of; none without end.
    #[serde(default)]
    pub requests: Option<u64>,
    /// What one hit cost.
    pub cost: u64,
    /// Taken of the counter.
    pub taken: u64,
    /// Taken of a grant.
    #[serde(default)]
    pub granted: u64,
    /// Which grant that was: the moment at which it was first made. Zero in older receipts.
    #[serde(default)]
    pub grant_since_us: u64,
    /// Of what was taken, so much was put back since.
    #[serde(default)]
    pub put_back: u64,
    /// And so much was to be put back, but where it was taken is closed.
    #[serde(default)]
    pub kept: u64,
    pub mark: Mark,
    /// When it was taken. Zero in older receipts.
    #[serde(default)]
    pub at_us: u64,
    /// Taken when it was settled at more than was held, which may have been in another window.
    #[serde(default)]
    pub later: Option<Part>,
    /// The zone and the day on which months begin, where the key has a calendar of its own.
    #[serde(default)]
    pub calendar: Option<(String, u8)>,
}

impl Item {
    /// All that is taken by now, first and later, of the counter and of a grant.
    pub fn charged(&self) -> u64 {
        let later = self.later.map_or(0, Part::charged);
        self.first().charged().saturating_add(later)
    }

    /// What the call itself took.
    pub fn first(&self) -> Part {
        let Item { taken, granted, grant_since_us, mark, at_us, .. } = *self;
        Part { taken, granted, grant_since_us, mark, at_us }
    }

    /// Notes what of the call's own part is still taken.
    pub fn set_first(&mut self, Part { taken, granted, .. }: Part) {
        (self.taken, self.granted) = (taken, granted);
    }

    /// Notes that so many hits were to be put back, and that so many really were.
    pub fn returned(&mut self, asked: u64, really: u64) {
        self.put_back = self.put_back.saturating_add(really);
        self.kept = self.kept.saturating_add(asked.saturating_sub(really));
    }
}

/// What was taken of a counter and its grant at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub taken: u64,
    pub granted: u64,
    /// Which grant that was, as in an item.
    pub grant_since_us: u64,
    pub mark: Mark,
    /// When it was taken.
    pub at_us: u64,
}

impl Part {
    pub fn charged(self) -> u64 {
        self.taken.saturating_add(self.granted)
    }
}

/// Where in a counter's time something was taken, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// In the window with this end.
    Window { end_us: u64 },
    /// At this moment.
    Stamp { at_us: u64 },
    /// In a slot of its own.
    Slot { id: u128 },
    /// In a bucket that would have been empty by then.
    Level { empty_us: u64 },
}

impl From<mend::Mark> for Mark {
    fn from(mark: mend::Mark) -> Mark {
        match mark {
            mend::Mark::Window { end } => Mark::Window { end_us: end.as_micros() },
            mend::Mark::Stamp { at } => Mark::Stamp { at_us: at.as_micros() },
            mend::Mark::Slot { id } => Mark::Slot { id },
            mend::Mark::Level { empty_at } => Mark::Level { empty_us: empty_at.as_micros() },
        }
    }
}

impl From<Mark> for mend::Mark {
    fn from(mark: Mark) -> mend::Mark {
        match mark {
            Mark::Window { end_us } => mend::Mark::Window { end: Timestamp::from_micros(end_us) },
            Mark::Stamp { at_us } => mend::Mark::Stamp { at: Timestamp::from_micros(at_us) },
            Mark::Slot { id } => mend::Mark::Slot { id },
            Mark::Level { empty_us } => {
                mend::Mark::Level { empty_at: Timestamp::from_micros(empty_us) }
            }
        }
    }
}

/// What is left of an extra budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub domain: String,
    pub label: String,
    /// The values that the counter counts by.
    #[serde(default)]
    pub values: Vec<(String, String)>,
    pub granted: u64,
    pub left: u64,
    /// When it was first made, by which it is told from one that took its place. Zero in grants
    /// of older releases.
    #[serde(default)]
    pub since_us: u64,
}

/// What a counter held in the windows that have closed, and holds in the one that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    pub domain: String,
    pub label: String,
    /// The values it counts by, readable.
    pub values: Vec<(String, String)>,
    /// Oldest first; the last one is open until its end.
    pub windows: VecDeque<Closed>,
}

/// The count of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub start_us: u64,
    pub end_us: u64,
    pub used: u64,
    /// The budget at the last charge; none without end.
    pub requests: Option<u64>,
}

/// Up to which threshold an alert was sent for the window that the note's expiry ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerted {
    pub percent: u32,
}

/// Somebody who is kept out. It outlives the ban itself, so that a repetition is known as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    pub domain: String,
    pub rule: String,
    pub values: Vec<(String, String)>,
    pub why: String,
    pub since_us: u64,
    pub until_us: u64,
    /// How many bans in a row this is.
    pub strikes: u32,
    /// Outside of the share that a rule is enforced for: shown, and nobody is kept out.
    #[serde(default)]
    pub shadow: bool,
}

/// A row of the directory that people set, in the form in which they write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub domain: String,
    pub key: String,
    pub text: String,
}

/// A rule that people took out of force, or put into shadow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    pub domain: String,
    pub rule: String,
    pub mode: String,
}

/// When people last said what a counter holds: nothing that was taken of it until then is there to
/// be put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    pub at_us: u64,
}

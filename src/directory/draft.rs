//! Rows as people write them, and what is wrong with them.
//!
//! Files and requests hand in the same words, so both are held to the same sense. Each word bears
//! a place, which means nothing here and tells whoever handed it in where a fault is.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::tz::TimeZone;

use crate::calendar;
use crate::limit::{Budget, SLIDING_LOG_REQUESTS_MAX, parse_whole_number};
use crate::time::Timestamp;

use super::{Allowance, Kind, Known, Row, Stage};

/// A row is looked through in every call of its key, so it is kept short: a plan, a team, a region
/// and some more, a contract's budgets, the changes of some years.
const STAGES_MAX: usize = 32;
const ENTRIES_MAX: usize = 64;
const BUDGETS_MAX: usize = 64;

/// So many names are listed where one is not known.
const NAMED_MAX: usize = 8;

/// Words up to this length are no keys: names of plans and teams are shorter, secrets longer.
const PLAIN_CHARS_MAX: usize = 16;

/// What is shown of a longer one.
pub const SHOWN_CHARS: usize = 4;

/// Words that a row says beside its entries. Rows stand on disk as one map of both, so that an
/// entry of such a name would be read back as something else.
const WORDS: [&str; 7] =
    ["stages", "limits", "from", "until", "anchor_day", "time_zone", "alert_to"];

const DATE_REMEDY: &str =
    "write a date such as 2026-04-01, or a moment such as 2026-04-01T09:00:00+02:00";

/// A word, and where it stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said<'a> {
    pub text: &'a str,
    /// Start and end.
    pub place: (usize, usize),
}

/// A row in words: its stages, and where it stood.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    pub stages: Vec<DraftStage<'a>>,
    pub place: (usize, usize),
}

#[derive(Clone, Debug, Default)]
pub struct DraftStage<'a> {
    pub from: Option<Said<'a>>,
    pub until: Option<Said<'a>>,
    /// Names and values.
    pub entries: Vec<(Said<'a>, Said<'a>)>,
    pub limits: Vec<DraftLimit<'a>>,
    pub anchor_day: Option<Said<'a>>,
    pub time_zone: Option<Said<'a>>,
    pub alert_to: Option<Said<'a>>,
}

/// A budget of a row's own.
#[derive(Clone, Copy, Debug)]
pub struct DraftLimit<'a> {
    /// Rule and limit name, as in `per-key.month`.
    pub limit: Said<'a>,
    pub requests: Option<Said<'a>>,
    pub burst: Option<Said<'a>>,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub place: (usize, usize),
    /// What is wrong, as a sentence without its full stop.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl DraftStage<'_> {
    /// Whether it holds only from some moment or until one.
    pub fn is_scheduled(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }
}

/// A word as a message may show it. Columns change places by mistake, and then a key stands where
/// a plan should: a long word of letters and digits is shown by its end alone.
pub fn shown(word: &str) -> String {
    if !looks_secret(word) {
        return word.into();
    }
    let chars = word.chars().count();
    format!("…{}", word.chars().skip(chars - SHOWN_CHARS).collect::<String>())
}

/// Whether a word may be somebody's key.
pub fn looks_secret(word: &str) -> bool {
    let bytes = || word.bytes();
    PLAIN_CHARS_MAX < word.len()
        && bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && bytes().any(|byte| byte.is_ascii_digit())
        && bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Drafts become rows against what the rules know. Remembers what it has looked up.
#[derive(Debug)]
pub struct Reader<'k> {
    known: &'k Known,
    /// The entry by which rows are found, which no row can change.
    by: &'k str,
    zones: Vec<(Box<str>, TimeZone)>,
    texts: HashSet<Arc<str>, RandomState>,
    pub faults: Vec<Fault>,
}

impl<'k> Reader<'k> {
    pub fn new(by: &'k str, known: &'k Known) -> Reader<'k> {
        Reader { known, by, zones: Vec::new(), texts: HashSet::default(), faults: Vec::new() }
    }

    /// The row that a draft means. What is wrong with it joins the faults, and is left out.
    pub fn row(&mut self, draft: &Draft<'_>) -> Row {
        if STAGES_MAX < draft.stages.len() {
            let what = format!("{} stages are more than {STAGES_MAX}", draft.stages.len());
            self.fault(draft.place, what, "take out those that are over");
        }
        Row::new(draft.stages.iter().map(|stage| self.stage(draft.place, stage)).collect())
    }

    fn stage(&mut self, place: (usize, usize), stage: &DraftStage<'_>) -> Stage {
        for (count, most, noun) in [
            (stage.entries.len(), ENTRIES_MAX, "entries"),
            (stage.limits.len(), BUDGETS_MAX, "limits"),
        ] {
            if most < count {
                let what = format!("{count} {noun} of one key are more than {most}");
                self.fault(
                    place,
                    what,
                    "every call looks through them; leave out what no rule asks",
                );
            }
        }
        let time_zone = stage.time_zone.and_then(|said| self.zone(said));
        let zone = time_zone.as_ref().unwrap_or(&self.known.zone).clone();
        let from = stage.from.and_then(|said| self.moment(said, &zone));
        let until = stage.until.and_then(|said| self.moment(said, &zone));
        if let (Some(from), Some(until), Some(said)) = (from, until, stage.until)
            && until <= from
        {
            self.fault(said.place, "`until` is not after `from`", "no moment lies between them");
        }
        Stage {
            from,
            until,
            entries: stage.entries.iter().map(|entry| self.entry(entry)).collect(),
            budgets: stage.limits.iter().map(|limit| self.allowance(limit)).collect(),
            anchor_day: stage.anchor_day.and_then(|said| self.anchor_day(said)),
            time_zone,
            alert_to: stage.alert_to.map(|said| self.target(said)),
        }
    }

    fn entry(&mut self, (name, value): &(Said<'_>, Said<'_>)) -> (Arc<str>, Arc<str>) {
        if name.text == self.by {
            let what = format!("a row is found by `{}` and cannot change it", self.by);
            self.fault(name.place, what, "count by an entry of another name, and add that");
        }
        if name.text.is_empty() {
            self.fault(name.place, "an entry has no name", "write `name: value`");
        }
        if WORDS.contains(&name.text) {
            let what = format!("`{}` is a word of a row, and no entry's name", name.text);
            self.fault(name.place, what, "call the entry otherwise, in the rules and in calls too");
        }
        let plans = self.known.plans.get(name.text);
        if plans.is_some_and(|plans| !plans.contains(value.text)) && !self.known.partial {
            let what = format!("no rule knows the plan `{}`", shown(value.text));
            let remedy = "name a plan that the rules define, or define this one";
            self.fault(value.place, what, remedy);
        }
        (self.text(name.text), self.text(value.text))
    }

    fn allowance(&mut self, said: &DraftLimit<'_>) -> Allowance {
        let kind = self.known.limits.get(said.limit.text).copied();
        if kind.is_none() && !self.known.partial {
            let what = format!("there is no limit `{}`", said.limit.text);
            let remedy = self.limit_remedy();
            self.fault(said.limit.place, what, remedy);
        }
        let budget = said.requests.and_then(|requests| self.budget(requests, kind));
        let burst = said.burst.and_then(|burst| self.burst(burst, kind));
        Allowance { limit: self.text(said.limit.text), budget, burst }
    }

    /// The text, shared with all rows that say it.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        self.texts.insert(text.clone());
        text
    }

    fn limit_remedy(&self) -> String {
        let mut labels: Vec<&str> = self.known.limits.keys().map(|label| &**label).collect();
        labels.sort_unstable();
        match labels.len() {
            0 => "write rule and limit name, as in per-key.month".into(),
            count if count <= NAMED_MAX => format!("write one of: {}", labels.join(", ")),
            count => {
                let more = count - NAMED_MAX;
                format!("write one of: {}, and {more} more", labels[..NAMED_MAX].join(", "))
            }
        }
    }

    fn budget(&mut self, said: Said<'_>, kind: Option<Kind>) -> Option<Budget> {
        if said.text == "unlimited" {
            return Some(Budget::Unlimited);
        }
        let Some(requests) = parse_whole_number(said.text) else {
            let what = format!("`{}` is not a number of requests", shown(said.text));
            self.fault(said.place, what, "write digits, such as 25_000_000, or `unlimited`");
            return None;
        };
        match kind {
            Some(Kind::Log) if SLIDING_LOG_REQUESTS_MAX < requests => {
                let what = format!(
                    "a sliding log keeps a stamp for each hit, {SLIDING_LOG_REQUESTS_MAX} at most"
                );
                self.fault(said.place, what, "write a smaller budget");
            }
            Some(Kind::Bucket) if requests == 0 => {
                let what = "a bucket of 0 requests never fills again";
                self.fault(said.place, what, "add a plan that refuses, or write at least 1");
            }
            _ => {}
        }
        Some(Budget::Requests(requests))
    }

    fn burst(&mut self, said: Said<'_>, kind: Option<Kind>) -> Option<u64> {
        if kind.is_some_and(|kind| kind != Kind::Bucket) {
            self.fault(said.place, "this limit has no burst", "take the burst out");
        }
        match parse_whole_number(said.text) {
            Some(burst) if burst > 0 => Some(burst),
            _ => {
                let what = format!("`{}` is not a burst", shown(said.text));
                self.fault(said.place, what, "write a whole number of at least 1");
                None
            }
        }
    }

    fn anchor_day(&mut self, said: Said<'_>) -> Option<u8> {
        match said.text.parse() {
            Ok(day) if (1..=31).contains(&day) => Some(day),
            _ => {
                let what = format!("`{}` is not a day of the month", shown(said.text));
                self.fault(said.place, what, "write a number from 1 to 31; 31 is the last day");
                None
            }
        }
    }

    /// Zones are few, and looking one up is slow beside the rest of a row.
    fn zone(&mut self, said: Said<'_>) -> Option<TimeZone> {
        if let Some((_, zone)) = self.zones.iter().find(|(name, _)| **name == *said.text) {
            return Some(zone.clone());
        }
        match TimeZone::get(said.text) {
            Ok(zone) => {
                self.zones.push((said.text.into(), zone.clone()));
                Some(zone)
            }
            Err(_) => {
                let what = format!("`{}` is not a known time zone", shown(said.text));
                self.fault(said.place, what, "use an IANA name, such as UTC or Europe/Berlin");
                None
            }
        }
    }

    fn moment(&mut self, said: Said<'_>, zone: &TimeZone) -> Option<Timestamp> {
        let moment = calendar::moment(said.text, zone);
        if moment.is_none() {
            self.fault(said.place, format!("`{}` is not a date", shown(said.text)), DATE_REMEDY);
        }
        moment
    }

    fn target(&mut self, said: Said<'_>) -> Box<str> {
        if !self.known.targets.contains(said.text) && !self.known.partial {
            let what = format!("there is no alert target `{}`", shown(said.text));
            self.fault(said.place, what, "define it under `alerts:`");
        }
        said.text.into()
    }

    fn fault(&mut self, place: (usize, usize), what: impl Into<String>, remedy: impl Into<String>) {
        self.faults.push(Fault { place, what: what.into(), remedy: remedy.into() });
    }
}

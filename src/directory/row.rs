//! One row: what is known of a key, and from when until when.

use std::sync::Arc;

use jiff::tz::TimeZone;
use smallvec::SmallVec;

use crate::limit::{Algorithm, Budget, Limit, Terms};
use crate::time::Timestamp;

/// All that is known of one key. Stages in force at a moment hold together; of what two of them
/// say, the later one's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    stages: SmallVec<[Stage; 1]>,
}

/// A part of a row, in force from `from` until just before `until`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Entries by name and value, which outrank those that a call brings.
    /// Rows that say the same share the text, so that it is seldom fetched from afar.
    pub entries: Box<[(Arc<str>, Arc<str>)]>,
    pub budgets: Box<[Allowance]>,
    /// The day on which this key's months begin, 1 to 31; 31 is the last day of a shorter month.
    pub anchor_day: Option<u8>,
    /// The time zone of this key's calendar.
    pub time_zone: Option<TimeZone>,
    /// Whom to alert of this key's use, by name.
    pub alert_to: Option<Box<str>>,
}

/// A budget in place of the one that a plan or a rule gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Rule and limit name, as in `per-key.month`.
    pub limit: Arc<str>,
    /// None where only the burst is another.
    pub budget: Option<Budget>,
    /// At least 1, and only where the limit is a bucket.
    pub burst: Option<u64>,
}

impl Row {
    pub fn new(stages: Vec<Stage>) -> Row {
        Row { stages: stages.into() }
    }

    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    pub fn into_stages(self) -> Vec<Stage> {
        self.stages.into_vec()
    }

    /// The stages in force, those that outrank the others last.
    pub fn in_force(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = &Stage> {
        self.stages.iter().filter(move |stage| stage.holds(now))
    }

    /// The entries in force, those that outrank the others last.
    pub fn entries(&self, now: Timestamp) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.in_force(now).flat_map(|stage| &stage.entries);
        entries.map(|(name, value)| (&**name, &**value))
    }

    /// The budget of the limit with this label, if the row has one of its own.
    pub fn budget(&self, limit: &str, now: Timestamp) -> Option<Budget> {
        self.allowances(limit, now).find_map(|allowance| allowance.budget)
    }

    /// The burst of the limit with this label, if the row has one of its own.
    pub fn burst(&self, limit: &str, now: Timestamp) -> Option<u64> {
        self.allowances(limit, now).find_map(|allowance| allowance.burst)
    }

    /// The limit as it binds this key.
    pub fn terms<'l>(&self, limit: &'l Limit, now: Timestamp) -> Terms<'l> {
        let mut terms = limit.terms();
        if let Some(budget) = self.budget(&limit.label, now) {
            terms = terms.with_budget(budget);
        }
        if let Some(burst) = self.burst(&limit.label, now) {
            terms.burst = burst;
        }
        if let Algorithm::Calendar(calendar) = &limit.algorithm {
            terms.calendar = calendar.of_key(self.time_zone(now), self.anchor_day(now));
        }
        terms
    }

    /// The day on which this key's months begin, if it is a day of its own.
    pub fn anchor_day(&self, now: Timestamp) -> Option<u8> {
        self.in_force(now).rev().find_map(|stage| stage.anchor_day)
    }

    pub fn time_zone(&self, now: Timestamp) -> Option<&TimeZone> {
        self.in_force(now).rev().find_map(|stage| stage.time_zone.as_ref())
    }

    pub fn alert_to(&self, now: Timestamp) -> Option<&str> {
        self.in_force(now).rev().find_map(|stage| stage.alert_to.as_deref())
    }

    fn allowances(&self, limit: &str, now: Timestamp) -> impl Iterator<Item = &Allowance> {
        let all = self.in_force(now).rev().flat_map(|stage| stage.budgets.iter().rev());
        all.filter(move |allowance| *allowance.limit == *limit)
    }
}

impl Stage {
    fn holds(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn stage(plan: &str, requests: u64) -> Stage {
        let budget = Some(Budget::Requests(requests));
        Stage {
            entries: [("plan".into(), plan.into())].into(),
            budgets: [Allowance { limit: "r.month".into(), budget, burst: None }].into(),
            ..Stage::default()
        }
    }

    #[test]
    fn a_later_stage_outranks_an_earlier_one_while_it_is_in_force() {
        let trial = Stage { from: Some(at(10)), until: Some(at(20)), ..stage("trial", 9) };
        let row = Row::new(vec![stage("free", 1), trial]);
        let plan = |now| row.entries(at(now)).last();
        let budget = |now| row.budget("r.month", at(now));
        assert_eq!((plan(9), budget(9)), (Some(("plan", "free")), Some(Budget::Requests(1))));
        assert_eq!((plan(10), budget(10)), (Some(("plan", "trial")), Some(Budget::Requests(9))));
        assert_eq!((plan(20), budget(20)), (Some(("plan", "free")), Some(Budget::Requests(1))));
        assert_eq!(row.budget("r.day", at(10)), None);
    }

    #[test]
    fn what_a_later_stage_does_not_say_an_earlier_one_does() {
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone of the bundled database");
        let first = Stage { anchor_day: Some(31), alert_to: Some("ops".into()), ..stage("a", 1) };
        let then = Stage { time_zone: Some(berlin.clone()), anchor_day: Some(15), ..stage("b", 2) };
        let row = Row::new(vec![first, then]);
        assert_eq!(row.anchor_day(at(0)), Some(15));
        assert_eq!(row.time_zone(at(0)), Some(&berlin));
        assert_eq!(row.alert_to(at(0)), Some("ops"));
    }
}

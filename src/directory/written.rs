//! A row in words of its own, as requests bring it, answers show it and disks keep it.

use crate::calendar;
use crate::limit::Budget;

use super::draft::shown;
use super::{Draft, DraftLimit, DraftStage, Row, Said, Stage};

/// A row's stages; the first is what the row says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub stages: Vec<WrittenStage>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenStage {
    pub from: Option<String>,
    pub until: Option<String>,
    /// Names and values.
    pub entries: Vec<(String, String)>,
    pub limits: Vec<WrittenLimit>,
    pub anchor_day: Option<String>,
    pub time_zone: Option<String>,
    pub alert_to: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenLimit {
    /// Rule and limit name.
    pub limit: String,
    /// A number, or `unlimited`.
    pub requests: Option<String>,
    pub burst: Option<String>,
}

impl Written {
    /// The row as a draft, whose words have no place.
    pub fn draft(&self) -> Draft<'_> {
        Draft { stages: self.stages.iter().map(draft).collect(), ..Draft::default() }
    }

    /// The same with words blotted out that look like somebody's key, for a log.
    pub fn for_log(self) -> Written {
        self.with_values(|_, value| shown(value))
    }

    /// The same with something else in place of each entry's value.
    pub fn with_values(mut self, instead: impl Fn(&str, &str) -> String) -> Written {
        for (entry, value) in self.stages.iter_mut().flat_map(|stage| &mut stage.entries) {
            *value = instead(entry, value);
        }
        self
    }
}

impl From<&Row> for Written {
    fn from(row: &Row) -> Written {
        Written { stages: row.stages().iter().map(written).collect() }
    }
}

fn draft(stage: &WrittenStage) -> DraftStage<'_> {
    DraftStage {
        from: stage.from.as_deref().map(said),
        until: stage.until.as_deref().map(said),
        entries: stage.entries.iter().map(|(name, value)| (said(name), said(value))).collect(),
        limits: stage.limits.iter().map(draft_limit).collect(),
        anchor_day: stage.anchor_day.as_deref().map(said),
        time_zone: stage.time_zone.as_deref().map(said),
        alert_to: stage.alert_to.as_deref().map(said),
    }
}

fn draft_limit(it: &WrittenLimit) -> DraftLimit<'_> {
    DraftLimit {
        limit: said(&it.limit),
        requests: it.requests.as_deref().map(said),
        burst: it.burst.as_deref().map(said),
    }
}

fn said(text: &str) -> Said<'_> {
    Said { text, ..Said::default() }
}

fn written(stage: &Stage) -> WrittenStage {
    let limit = |it: &super::Allowance| WrittenLimit {
        limit: it.limit.to_string(),
        requests: it.budget.map(|budget| match budget {
            Budget::Requests(requests) => requests.to_string(),
            Budget::Unlimited => "unlimited".into(),
        }),
        burst: it.burst.map(|burst| burst.to_string()),
    };
    WrittenStage {
        from: stage.from.map(calendar::rfc3339),
        until: stage.until.map(calendar::rfc3339),
        entries: stage.entries.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        limits: stage.budgets.iter().map(limit).collect(),
        anchor_day: stage.anchor_day.map(|day| day.to_string()),
        time_zone: stage.time_zone.as_ref().and_then(|zone| zone.iana_name()).map(Into::into),
        alert_to: stage.alert_to.as_ref().map(ToString::to_string),
    }
}

//! Holds and repeats: by which id a call is known again, and for how long.

use crate::config::decode::At;
use crate::config::document;
use crate::config::per;
use crate::limit::{Algorithm, Budget, Limit};
use crate::rules::{Dedupe, Hold, Limits};
use crate::time::SECOND_US;

use super::Compiler;

/// A hold that nobody settles ends after this, unless its rule says otherwise: longer than almost
/// any response takes.
const HOLD_EXPIRES_S: u64 = 300;

/// Ids are remembered and holds kept for a week at most: each is a note of its own.
const SPAN_S_MAX: u64 = 7 * 86_400;

const SPAN_REMEDY: &str = "write a span of time of at most a week, such as 5m or 24 hours";

impl<'d> Compiler<'d> {
    pub fn hold(&mut self, rule: &'d document::Rule) -> Option<Box<Hold>> {
        let hold = rule.hold.as_ref()?;
        if hold.settle.value.0.is_empty() {
            let remedy =
                "name what marks the call that ends a hold, as in `settle: { phase: done }`";
            self.error(hold.settle.span, "`settle` asks for nothing, so every call would", remedy);
        }
        if hold.estimate == Some(0) {
            let remedy = "estimate at least 1; what is settled is charged in any case";
            self.error(
                hold.by.span,
                "an estimate of 0 holds nothing that could be settled",
                remedy,
            );
        }
        let expires_s = hold.expires.as_ref().map(|span| self.span_s(span));
        Some(Box::new(Hold {
            by: hold.by.value.as_str().into(),
            settle: self.conditions(Some(&hold.settle.value)),
            estimate: hold.estimate,
            expires_us: expires_s.unwrap_or(HOLD_EXPIRES_S) * SECOND_US,
            prefix: self.key.prefix(&["hold", self.domain, &rule.name.value]),
        }))
    }

    /// A call that opens a hold takes the estimate, whatever hits it says. A budget of 0 refuses on
    /// purpose, and slots are always as many as the call's own hits.
    pub fn holds_what_fits(&mut self, rule: &document::Rule, limits: &Limits) {
        let Some(hold) = &rule.hold else { return };
        let (Some(estimate), Some((room, limit))) = (hold.estimate, tightest(limits)) else {
            return;
        };
        if room < estimate {
            let label = &limit.label;
            let what =
                format!("no call can hold {estimate}: `{label}` has room for {room} at most");
            let remedy = "make `estimate` smaller or the budget larger, or give the key another \
                          budget in the directory";
            self.warning(hold.by.span, what, remedy);
        }
    }

    pub fn dedupe(&mut self, rule: &'d document::Rule) -> Option<Box<Dedupe>> {
        let dedupe = rule.dedupe.as_ref()?;
        Some(Box::new(Dedupe {
            by: dedupe.by.value.as_str().into(),
            for_us: self.span_s(&dedupe.span) * SECOND_US,
            prefix: self.key.prefix(&["once", self.domain, &rule.name.value]),
        }))
    }

    /// Seconds in a span of time that is no window.
    fn span_s(&mut self, span: &At<String>) -> u64 {
        let read = per::parse(&span.value).map(|per| per.window_s());
        match read {
            Ok(seconds) if seconds <= SPAN_S_MAX => return seconds,
            Ok(_) => self.error(span.span, "this is longer than a week", SPAN_REMEDY),
            Err(what) => self.error(span.span, what, SPAN_REMEDY),
        }
        SPAN_S_MAX
    }
}

/// The limit with the least room for one call, and that room in hits, among those that refuse.
fn tightest(limits: &Limits) -> Option<(u64, &Limit)> {
    let slots = |it: &Limit| matches!(it.algorithm, Algorithm::Concurrency);
    let refusing = limits.iter().filter(|it| it.on_exceed.votes() && !slots(it));
    let room = |limit: &Limit| match (&limit.algorithm, limit.budget) {
        (Algorithm::TokenBucket { burst, .. }, Budget::Requests(_)) => Some(*burst),
        (_, Budget::Requests(requests)) => Some(requests),
        (_, Budget::Unlimited) => None,
    };
    let rooms = refusing.filter_map(|limit| room(limit).map(|room| (room, limit)));
    // Plans come in no order: of equal ones the first by name, so that messages stay the same.
    rooms.filter(|(room, _)| *room > 0).min_by(|a, b| (a.0, &a.1.label).cmp(&(b.0, &b.1.label)))
}

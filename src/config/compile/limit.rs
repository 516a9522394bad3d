//! Limits: budgets, windows, and which of them go together.

use std::collections::HashSet;

use crate::calendar::{Anchor, Calendar, Period};
use crate::config::decode::{At, nearest, parse_whole_number};
use crate::config::document::{self, Plan};
use crate::config::per::{self, PER_REMEDY};
use crate::config::problem::Span;
use crate::config::words::{self, ALGORITHMS, CONCURRENCY};
use crate::limit::{
    Algorithm, Budget, CONCURRENCY_MAX, Charge, Durability, Limit, Per, SLIDING_LOG_REQUESTS_MAX,
    Unit, WINDOW_S_MAX,
};
use crate::rules::{crowd, limit_tag};
use crate::time::SECOND_US;

use super::Compiler;

/// A compiled limit, with what decides whether two of them can share counters.
pub struct PlanLimit {
    pub name: String,
    pub measured: String,
    pub limit: Limit,
}

type Limits = Vec<(PlanLimit, Span)>;

/// A reason why a limit cannot be: where, what, and what to do.
type Refusal = (Span, String, String);

impl<'d> Compiler<'d> {
    pub fn plan_limits(&mut self, rule: &str, plan: &'d Plan) -> Limits {
        self.limit_list(rule, &plan.limits)
    }

    pub fn limit_list(&mut self, rule: &str, list: &At<Vec<At<document::Limit>>>) -> Limits {
        if list.value.is_empty() {
            let remedy = "add a limit; `requests: unlimited` counts and never refuses";
            self.error(list.span, "this list of limits is empty", remedy);
        }
        let mut names = HashSet::new();
        let mut limits = Limits::new();
        for At { span, value } in &list.value {
            let Some(limit) = self.limit(rule, value) else { continue };
            if !names.insert(limit.name.clone()) {
                let what = format!("two limits here are called `{}`", limit.name);
                self.error(*span, what, "give one of them a `name:` of its own");
            }
            limits.push((limit, *span));
        }
        limits
    }

    fn limit(&mut self, rule: &str, limit: &document::Limit) -> Option<PlanLimit> {
        if let Some(name) = &limit.name {
            self.name(name);
        }
        let budget = self.budget(&limit.requests);
        let algorithm_known = self.algorithm_known(limit.algorithm.as_ref());
        let per = self.per(limit, algorithm_known);
        let on_exceed = self.on_exceed(limit.on_exceed.as_ref());
        let charge = self.charge(limit.charge.as_ref());
        let durability = self.durability(limit.durability.as_ref());
        let alert = self.alert_at(limit, budget);
        let (budget, per) = (budget?, per?);
        if !algorithm_known {
            return None;
        }
        let algorithm = match self.algorithm(limit, budget, per) {
            Ok(algorithm) => algorithm,
            Err((span, what, remedy)) => {
                self.error(span, what, remedy);
                return None;
            }
        };
        self.queue_fits(limit.on_exceed.as_ref(), on_exceed, &algorithm);
        let name = match &limit.name {
            Some(name) => name.value.clone(),
            None => per::default_name(per),
        };
        let tag = limit_tag(&self.key, &name, &algorithm);
        let label = format!("{rule}.{name}").into();
        let archive = self.archive(limit, &algorithm);
        // A key that changed to a plan without would leave half a count behind as a final one.
        let measured = format!("{algorithm}{}", if archive { ", archived" } else { "" });
        let limit = Limit {
            label,
            budget,
            per,
            algorithm,
            on_exceed,
            charge,
            durability,
            archive,
            tag,
            // Once all rules are known it is told which counter it is charged to.
            crowd: crowd(&self.key, self.domain, rule),
            alert,
        };
        Some(PlanLimit { name, measured, limit })
    }

    /// Only windows that close have a final count.
    fn archive(&mut self, limit: &document::Limit, algorithm: &Algorithm) -> bool {
        let closes = matches!(algorithm, Algorithm::FixedWindow { .. } | Algorithm::Calendar(_));
        if limit.archive && !closes {
            let what = "only fixed and calendar windows close, and leave a count to archive";
            self.error(limit.requests.span, what, "use one of these, or take `archive` out");
        }
        limit.archive
    }

    fn budget(&mut self, requests: &At<String>) -> Option<Budget> {
        if requests.value == "unlimited" {
            return Some(Budget::Unlimited);
        }
        let budget = parse_whole_number(&requests.value).map(Budget::Requests);
        if budget.is_none() {
            let what = format!("`{}` is not a number of requests", requests.value);
            let remedy = match requests.value.contains('/') {
                true => "write the window apart, as in `requests: 60, per: minute`".into(),
                false => {
                    format!(
                        "write digits, such as 25_000_000 and up to {}, or `unlimited`",
                        u64::MAX
                    )
                }
            };
            self.error(requests.span, what, remedy);
        }
        budget
    }

    fn per(&mut self, limit: &document::Limit, algorithm_known: bool) -> Option<Per> {
        let at_once = limit.algorithm.as_ref().is_some_and(|word| word.value == CONCURRENCY);
        let per = match (&limit.per, at_once) {
            (Some(per), false) => per,
            (None, true) => return Some(Per::AT_ONCE),
            // It may be meant to be one that needs none.
            (None, false) if !algorithm_known => return None,
            (None, false) => {
                let remedy = "add `per: …`, such as `per: minute`";
                self.error(limit.requests.span, "`per` is missing", remedy);
                return None;
            }
            (Some(per), true) => {
                let what = "a concurrency limit is for what goes on at once, not for a window";
                self.error(per.span, what, "take `per` out");
                return None;
            }
        };
        match per::parse(&per.value) {
            Ok(parsed) if parsed.window_s() <= WINDOW_S_MAX => Some(parsed),
            Ok(_) => {
                let what = format!("`{}` is longer than any window may be", per.value);
                self.error(per.span, what, "choose a window of at most ten years");
                None
            }
            Err(what) => {
                self.error(per.span, what, PER_REMEDY);
                None
            }
        }
    }

    /// Whether the algorithm, if one is named, is one that this release has.
    fn algorithm_known(&mut self, word: Option<&At<String>>) -> bool {
        let Some(At { span, value }) = word else { return true };
        if ALGORITHMS.contains(&value.as_str()) {
            return true;
        }
        let list = ALGORITHMS.join(", ");
        let remedy = match nearest(value, &ALGORITHMS) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("write one of: {list}"),
        };
        self.error(*span, format!("`{value}` is not an algorithm"), remedy);
        false
    }

    fn charge(&mut self, word: Option<&At<String>>) -> Charge {
        let Some(At { span, value }) = word else { return Charge::Admitted };
        match value.as_str() {
            "admitted" => Charge::Admitted,
            "always" => Charge::Always,
            other => {
                self.unknown_word(*span, other, "charge", &words::CHARGE);
                Charge::Admitted
            }
        }
    }

    fn durability(&mut self, word: Option<&At<String>>) -> Durability {
        let Some(At { span, value }) = word else { return Durability::Ordinary };
        match value.as_str() {
            "ordinary" => Durability::Ordinary,
            "strict" => Durability::Strict,
            other => {
                self.unknown_word(*span, other, "durability", &words::DURABILITY);
                Durability::Ordinary
            }
        }
    }

    pub fn unknown_word(&mut self, span: Span, word: &str, key: &str, known: &[&str]) {
        let remedy = match nearest(word, known) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("write one of: {}", known.join(", ")),
        };
        self.error(span, format!("`{word}` is no value of `{key}`"), remedy);
    }

    fn algorithm(
        &self,
        limit: &document::Limit,
        budget: Budget,
        per: Per,
    ) -> Result<Algorithm, Refusal> {
        let word = limit.algorithm.as_ref();
        let calendar_only = matches!(per.unit, Unit::Month | Unit::Year);
        let implied = match (&limit.burst, &limit.anchor_day) {
            (Some(_), _) => "token_bucket",
            (None, Some(_)) => "calendar",
            (None, None) if calendar_only => "calendar",
            (None, None) => "fixed_window",
        };
        let name = word.map_or(implied, |word| word.value.as_str());
        let place = limit.per.as_ref().map_or(limit.requests.span, |per| per.span);
        let span = word.map_or(place, |word| word.span);
        if let Some(burst) = &limit.burst
            && name != "token_bucket"
        {
            let remedy = "take `burst` out, or use `algorithm: token_bucket`";
            return Err((burst.span, format!("`{name}` has no burst"), remedy.into()));
        }
        if let Some(anchor) = &limit.anchor_day
            && name != "calendar"
        {
            let remedy = "take `anchor_day` out, or use `algorithm: calendar`";
            return Err((anchor.span, format!("`{name}` has no anchor day"), remedy.into()));
        }
        if calendar_only && name != "calendar" {
            let what = format!("months and years differ in length, so `{name}` cannot hold them");
            let remedy = "use `algorithm: calendar`, or a window such as `30 days`";
            return Err((span, what, remedy.into()));
        }
        let window_us = per.window_s() * SECOND_US;
        match name {
            "fixed_window" => Ok(Algorithm::FixedWindow { window_us }),
            "calendar" => self.calendar(limit, place, per),
            "sliding_window" => Ok(Algorithm::SlidingWindow { window_us }),
            "sliding_log" => sliding_log(limit.requests.span, budget, window_us),
            CONCURRENCY => concurrency(limit.requests.span, budget),
            _ => token_bucket(limit, budget, window_us),
        }
    }

    fn calendar(
        &self,
        limit: &document::Limit,
        place: Span,
        per: Per,
    ) -> Result<Algorithm, Refusal> {
        let period = match (per.count, per.unit) {
            (1, Unit::Hour) => Period::Hour,
            (1, Unit::Day) => Period::Day,
            (1, Unit::Week) => Period::Week,
            (1, Unit::Month) => Period::Month,
            (1, Unit::Year) => Period::Year,
            (count, unit) => {
                let what = format!("the calendar has no window of {count} {}", per::name(unit));
                let remedy = "use one hour, day, week, month or year; or another algorithm";
                return Err((place, what, remedy.into()));
            }
        };
        let anchor = match &limit.anchor_day {
            Some(word) => anchor(period, word)?,
            None => Anchor::USUAL,
        };
        Ok(Algorithm::Calendar(Calendar::new(period, self.zone.clone(), anchor)))
    }
}

fn anchor(period: Period, At { span, value }: &At<String>) -> Result<Anchor, Refusal> {
    let (found, kind, remedy) = match period {
        Period::Month => {
            let remedy = "write a number from 1 to 31; 31 is the last day of each month";
            (value.parse().ok().and_then(Anchor::month_day), "a day of the month", remedy)
        }
        Period::Week => {
            let remedy = "write the name of a day, such as monday or sunday";
            (Anchor::weekday(value), "a day of the week", remedy)
        }
        Period::Hour | Period::Day | Period::Year => {
            let what = "only months and weeks can begin on a day of their own";
            let remedy = "take `anchor_day` out, or use `per: month` or `per: week`";
            return Err((*span, what.into(), remedy.into()));
        }
    };
    found.ok_or_else(|| (*span, format!("`{value}` is not {kind}"), remedy.into()))
}

fn sliding_log(span: Span, budget: Budget, window_us: u64) -> Result<Algorithm, Refusal> {
    match budget {
        Budget::Requests(requests) if SLIDING_LOG_REQUESTS_MAX < requests => {
            let what = format!(
                "a sliding log keeps a stamp for each hit, {SLIDING_LOG_REQUESTS_MAX} at most"
            );
            Err((span, what, "use token_bucket or fixed_window for a budget this large".into()))
        }
        _ => Ok(Algorithm::SlidingLog { window_us }),
    }
}

fn concurrency(span: Span, budget: Budget) -> Result<Algorithm, Refusal> {
    match budget {
        Budget::Requests(requests) if requests <= CONCURRENCY_MAX => Ok(Algorithm::Concurrency),
        _ => {
            let what = format!("a concurrency limit is for {CONCURRENCY_MAX} at once at most");
            Err((span, what, "write how many calls may go on at the same time".into()))
        }
    }
}

fn token_bucket(
    limit: &document::Limit,
    budget: Budget,
    window_us: u64,
) -> Result<Algorithm, Refusal> {
    let burst = match (&limit.burst, budget) {
        (Some(At { span, value: 0 }), _) => {
            let remedy = "write a burst of at least 1, or `requests: 0` without a burst to block";
            return Err((
                *span,
                "a bucket of burst 0 never lets a call pass".into(),
                remedy.into(),
            ));
        }
        (_, Budget::Requests(0)) => {
            let remedy = "write `requests: 0` without a burst to block everything";
            let what = "a bucket of 0 requests never fills again".into();
            return Err((limit.requests.span, what, remedy.into()));
        }
        (Some(burst), _) => burst.value,
        (None, Budget::Requests(requests)) => requests,
        (None, Budget::Unlimited) => u64::MAX,
    };
    let requests_min = match budget {
        Budget::Requests(requests) => requests,
        Budget::Unlimited => u64::MAX,
    };
    Ok(Algorithm::TokenBucket { window_us, burst, requests_min })
}

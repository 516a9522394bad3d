//! Bans: for what somebody is kept out, and for how long.

use crate::config::decode::{At, nearest};
use crate::config::document;
use crate::config::per;
use crate::config::problem::Span;
use crate::config::words::{BAN_AFTER_MAX, BANS};
use crate::guard::{Offence, Rate, Spike, Terms, WINDOWS_MAX};
use crate::rules::{Ban, Counted};
use crate::time::SECOND_US;

use super::Compiler;

/// What counts towards a ban is kept for a week at most: each counter's is a note of its own.
const WITHIN_S_MAX: u64 = 7 * DAY_S;

/// Nobody is kept out, or remembered as having been, for longer than a year: by then addresses and
/// keys belong to others.
const FOR_S_MAX: u64 = 365 * DAY_S;

const DAY_S: u64 = 86_400;

/// The longest ban, where the rule does not say it.
const UP_TO_S: u64 = DAY_S;

/// A spike is beyond so many times what is usual, at least and at most.
const TIMES: std::ops::RangeInclusive<u64> = 2..=1_000;

/// The windows of a spike, where the rule does not say how long they are: minutes of an hour.
const WINDOWS: u64 = 60;

/// An average over fewer windows than these is hardly one.
const WINDOWS_MIN: u64 = 4;

const WITHIN_REMEDY: &str = "write a span of time of at most a week, such as 1m or 24 hours";
const FOR_REMEDY: &str = "write a span of time of at most 365 days, such as 15m or 24 hours";

/// The keys that depend on what a ban is for: whether they are there, and where.
fn given(ban: &document::Ban) -> [(&'static str, Option<Span>); 6] {
    [
        ("after", ban.after.as_ref().map(|it| it.span)),
        ("within", ban.within.as_ref().map(|it| it.span)),
        ("entry", ban.entry.as_ref().map(|it| it.span)),
        ("times", ban.times.as_ref().map(|it| it.span)),
        ("over", ban.over.as_ref().map(|it| it.span)),
        ("at_least", ban.at_least.as_ref().map(|it| it.span)),
    ]
}

impl<'d> Compiler<'d> {
    pub fn ban(&mut self, rule: &'d document::Rule, count_by: &[Counted]) -> Option<Box<Ban>> {
        let ban = rule.ban.as_ref()?;
        if count_by.is_empty() {
            let what = "a ban keeps out whom a rule counts, and this one counts all calls as one";
            self.error(ban.span, what, "add `count_by:` to the rule");
        }
        let ban = &ban.value;
        let offence = self.offence(ban, count_by);
        let for_s = self.ban_span(&ban.span, FOR_S_MAX, FOR_REMEDY);
        let up_to_s = match &ban.up_to {
            Some(up_to) => {
                let longest_s = self.ban_span(up_to, FOR_S_MAX, FOR_REMEDY);
                if longest_s < for_s {
                    let what = "the longest ban is shorter than the first";
                    self.error(up_to.span, what, "make `up_to` at least as long as `for`");
                }
                longest_s.max(for_s)
            }
            None => UP_TO_S.max(for_s),
        };
        let (for_us, up_to_us) = (for_s * SECOND_US, up_to_s * SECOND_US);
        let name = &rule.name.value;
        let prefix = self.key.prefix(&["ban", self.domain, name]);
        let values = self.key.prefix(&["distinct", self.domain, name]);
        Some(Box::new(Ban::new(Terms { offence: offence?, for_us, up_to_us }, prefix, values)))
    }

    fn offence(&mut self, ban: &document::Ban, count_by: &[Counted]) -> Option<Offence> {
        let kind = ban.of.value.as_str();
        let (needed, allowed): (&[&str], &[&str]) = match kind {
            "refusals" | "hits" => (&["after", "within"], &[]),
            "spike" => (&["times", "over", "at_least"], &["within"]),
            "distinct" => (&["entry", "after", "within"], &[]),
            other => {
                self.unknown_kind(ban.of.span, other);
                return None;
            }
        };
        for (name, span) in given(ban) {
            match span {
                None if needed.contains(&name) => {
                    let what = format!("a ban `of: {kind}` needs `{name}`");
                    self.error(ban.of.span, what, format!("add `{name}:`"));
                }
                Some(span) if !needed.contains(&name) && !allowed.contains(&name) => {
                    let what = format!("`{name}` means nothing in a ban `of: {kind}`");
                    self.error(span, what, "take it out");
                }
                _ => {}
            }
        }
        match kind {
            "refusals" => self.rate(ban).map(Offence::Refusals),
            "hits" => self.rate(ban).map(Offence::Hits),
            "spike" => self.spike(ban).map(Offence::Spike),
            _ => self.distinct(ban, count_by),
        }
    }

    fn unknown_kind(&mut self, span: Span, word: &str) {
        let remedy = match nearest(word, &BANS) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known here: {}", BANS.join(", ")),
        };
        self.error(span, format!("nobody is kept out for `{word}`"), remedy);
    }

    fn rate(&mut self, ban: &document::Ban) -> Option<Rate> {
        let after = self.number(ban.after.as_ref()?, 1..=BAN_AFTER_MAX);
        let within_s = self.ban_span(ban.within.as_ref()?, WITHIN_S_MAX, WITHIN_REMEDY);
        Some(Rate { after, within_us: within_s * SECOND_US })
    }

    fn spike(&mut self, ban: &document::Ban) -> Option<Spike> {
        let times = self.number(ban.times.as_ref()?, TIMES);
        let at_least = self.number(ban.at_least.as_ref()?, 1..=BAN_AFTER_MAX);
        let over = ban.over.as_ref()?;
        let over_us = self.ban_span(over, WITHIN_S_MAX, WITHIN_REMEDY) * SECOND_US;
        let window_us = match &ban.within {
            Some(within) => self.ban_span(within, WITHIN_S_MAX, WITHIN_REMEDY) * SECOND_US,
            None => over_us / WINDOWS,
        };
        let windows = over_us / window_us;
        if !(WINDOWS_MIN..=WINDOWS_MAX).contains(&windows) {
            let span = ban.within.as_ref().unwrap_or(over).span;
            let what = format!("`over` holds {windows} windows of `within`");
            let remedy =
                format!("make `within` a {WINDOWS_MIN}th to a {WINDOWS_MAX}th part of `over`");
            self.error(span, what, remedy);
        }
        Some(Spike { times, at_least, window_us, windows })
    }

    fn distinct(&mut self, ban: &document::Ban, count_by: &[Counted]) -> Option<Offence> {
        let rate = self.rate(ban);
        let At { span, value: entry } = ban.entry.as_ref()?;
        let whole = |counted: &Counted| *counted.entry == **entry && counted.masks.is_none();
        if count_by.iter().any(whole) {
            let what = format!("the rule counts by `{entry}`, so each counter has one value of it");
            self.error(*span, what, "name another entry");
        }
        if entry.is_empty() {
            self.error(*span, "the name of the entry is empty", "name an entry of the calls");
        }
        Some(Offence::Distinct { entry: entry.as_str().into(), rate: rate? })
    }

    fn number(&mut self, number: &At<u64>, range: std::ops::RangeInclusive<u64>) -> u64 {
        if !range.contains(&number.value) {
            let what = format!("{} is out of range", number.value);
            let remedy = format!("write a number from {} to {}", range.start(), range.end());
            self.error(number.span, what, remedy);
        }
        number.value.clamp(*range.start(), *range.end())
    }

    /// Seconds in a span of time, at least one.
    fn ban_span(&mut self, span: &At<String>, max_s: u64, remedy: &str) -> u64 {
        let read = per::parse(&span.value).map(|per| per.window_s());
        match read {
            Ok(seconds) if (1..=max_s).contains(&seconds) => return seconds,
            Ok(0) => self.error(span.span, format!("`{}` is no time at all", span.value), remedy),
            Ok(_) => self.error(span.span, format!("`{}` is too long", span.value), remedy),
            Err(what) => self.error(span.span, what, remedy),
        }
        max_s
    }
}

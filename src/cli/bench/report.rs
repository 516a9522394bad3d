//! What came of the runs, as tables for people.

use std::fmt::Write as _;

use super::tally::Tally;
use crate::settings::{Bench, Target};

/// The shares of answers whose latency is shown, and what each is called.
pub const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// An open run that sent less than this share of what was asked for did not hold its rate.
const HELD: f64 = 0.99;

/// One target and what each round measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub target: Target,
    pub rounds: Vec<Tally>,
}

impl Measured {
    pub fn of(target: &Target) -> Measured {
        Measured { target: target.clone(), rounds: Vec::new() }
    }

    /// All rounds as if they were one.
    pub fn whole(&self) -> Tally {
        let mut whole = Tally::default();
        self.rounds.iter().for_each(|round| whole.add_after(round));
        whole
    }
}

/// How two targets compare in one figure: the first's over the second's, round by round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// The figures that two targets are compared by.
pub fn ratios(measured: &[Measured]) -> Vec<(&'static str, Ratio)> {
    let [first, second] = measured else { return Vec::new() };
    let ratio = |figure: &dyn Fn(&Tally) -> f64| {
        let rounds = first.rounds.iter().zip(&second.rounds);
        let each = rounds.map(|(first, second)| figure(first) / figure(second));
        let mut each: Vec<f64> = each.filter(|ratio| ratio.is_finite()).collect();
        each.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*each.first()?, *each.last()?);
        Some(Ratio { median: each[each.len() / 2], least, most })
    };
    let rate = ratio(&Tally::per_second).map(|ratio| ("answers a second", ratio));
    let latencies = QUANTILES.iter().filter_map(|&(name, share)| {
        Some((name, ratio(&|tally: &Tally| tally.quantile_us(share))?))
    });
    rate.into_iter().chain(latencies).collect()
}

/// The whole report.
pub fn show(bench: &Bench, measured: &[Measured]) -> String {
    let mut out = format!("{}\n", how(bench));
    for measured in measured.iter().filter(|measured| !measured.rounds.is_empty()) {
        let _ = write!(out, "\n{}\n", measured.target);
        one(&mut out, bench, &measured.whole());
    }
    let ratios = ratios(measured);
    if let ([first, second], false) = (measured, ratios.is_empty()) {
        let (first, second) = (&first.target, &second.target);
        let _ = writeln!(out, "\n{first} over {second}, the median of the rounds and their range");
        for (name, Ratio { median, least, most }) in ratios {
            let _ = writeln!(out, "  {name:<18}{median:>8.2}   {least:.2} to {most:.2}");
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// What was done, in a line.
fn how(bench: &Bench) -> String {
    let connections = match bench.connections {
        1 => "1 connection".to_owned(),
        number => format!("{number} connections"),
    };
    match bench.rate {
        Some(rate) => format!("open loop: {} calls a second, {connections}", grouped(rate as u64)),
        None => format!("closed loop: {connections}, {} calls open on each", bench.in_flight),
    }
}

/// What one target did.
fn one(out: &mut String, bench: &Bench, tally: &Tally) {
    let answered = tally.answered();
    let rate = grouped(tally.per_second() as u64);
    let seconds = tally.took.as_secs_f64();
    let answers = grouped(answered);
    let _ = writeln!(out, "  {:<18}{answers:>12}   {rate} a second for {seconds:.1} s", "answers");
    for (name, count) in
        [("OK", tally.ok), ("OVER_LIMIT", tally.over_limit), ("UNKNOWN", tally.unknown)]
    {
        if 0 < count {
            let share = count as f64 / answered as f64 * 100.0;
            let _ = writeln!(out, "    {name:<16}{:>12}   {share:.1} %", grouped(count));
        }
    }
    if 0 < tally.failed() {
        let _ = writeln!(out, "  {:<18}{:>12}", "errors", grouped(tally.failed()));
    }
    for (kind, errors) in &tally.errors {
        let _ = writeln!(out, "    {kind:<16}{:>12}   {}", grouped(errors.count), errors.first);
    }
    if 0 < answered {
        latencies(out, tally);
    }
    notes(out, bench, tally);
}

fn latencies(out: &mut String, tally: &Tally) {
    let quantiles = QUANTILES.iter().map(|&(name, share)| (name, tally.quantile_us(share)));
    let ends = [("mean", tally.mean_us())].into_iter().chain(quantiles);
    let all: Vec<_> = ends.chain([("max", tally.max_us())]).collect();
    let row = |cells: &mut dyn Iterator<Item = String>| {
        cells.fold(String::new(), |row, cell| row + &format!("{cell:>10}"))
    };
    let names = row(&mut all.iter().map(|(name, _)| (*name).to_owned()));
    let values = row(&mut all.iter().map(|(_, us)| format!("{us:.0}")));
    let _ = writeln!(out, "  {:<12}{names}\n  {:<12}{values}", "latency", "µs");
}

/// What a reader has to know before believing the figures.
fn notes(out: &mut String, bench: &Bench, tally: &Tally) {
    if 0 < tally.answered() && !tally.limited {
        let domain = &bench.domain;
        let _ = writeln!(
            out,
            "  note: no answer named a limit; has the server rules for domain `{domain}` and these \
             entries?"
        );
    }
    if 0 < tally.unsent {
        let unsent = grouped(tally.unsent);
        let _ = writeln!(out, "  note: {unsent} calls were due and not sent: too many were open");
    }
    let sent = tally.per_second() + tally.failed() as f64 / tally.took.as_secs_f64().max(1e-9);
    if bench.rate.is_some_and(|rate| sent < rate * HELD) {
        let _ = writeln!(out, "  note: the rate was not held; latencies count the wait to be sent");
    }
    if 0 < tally.unanswered {
        let unanswered = grouped(tally.unanswered);
        let _ = writeln!(out, "  note: {unanswered} calls were still open at the end");
    }
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if 0 < place && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

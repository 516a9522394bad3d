//! `tollgate check`: what the server would say of these rules, without a server.

use crate::cli::say::complain;
use crate::config::{self, Options, Rejected};
use crate::key::HashKey;
use crate::rules::RuleSet;
use crate::settings::{Check, Reading};

/// Compiles the rules and returns a summary for people; warnings go to standard error.
pub fn run(check: &Check) -> Result<String, Rejected> {
    let loaded = config::load_with(HashKey::random(), &check.paths, options(check.reading));
    complain(loaded.warnings.trim_end());
    let rules = loaded.rules?;
    Ok(format!("no errors in {}: {}", count(loaded.files, "file"), summary(&rules)))
}

/// How rules are read.
pub fn options(Reading { merge_domains }: Reading) -> Options {
    Options { merge_domains, ..Options::default() }
}

/// What was loaded, in a few words.
pub fn summary(rules: &RuleSet) -> String {
    let domains = rules.domains().count();
    let all = rules.domains().flat_map(|domain| domain.rules());
    let (rules, limits) =
        all.fold((0, 0), |(rules, limits), rule| (rules + 1, limits + rule.all_limits().count()));
    let (domains, rules) = (count(domains, "domain"), count(rules, "rule"));
    format!("{domains}, {rules}, {}", count(limits, "limit"))
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

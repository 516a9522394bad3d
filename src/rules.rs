//! Compiled rules: which of them apply to a descriptor, what they count and what they allow.
//!
//! Immutable and shared by all calls; a new set replaces the old one whole. Knows neither the
//! file format it came from nor the wire, and decides nothing.

mod address;
mod again;
mod answers;
mod ban;
mod candidate;
mod condition;
mod counted;
mod exact;
mod force;
mod identity;
mod index;
mod named;
mod network_set;
mod pattern;
mod prefix;
mod regex;
mod shown;
mod template;
mod tree;

pub use self::address::{Masks, Network, V4_BITS, V6_BITS};
pub use self::again::{Dedupe, Hold};
pub use self::answers::{
    Answers, Body, Form, Headers, Names, OnRefusal, ResetForm, RetryAfter, Style,
};
pub use self::ban::Ban;
pub use self::condition::{Condition, Test, ValueList, Values};
pub use self::counted::{Counted, CountedValue};
pub use self::force::{Force, Mode, SHARE_WHOLE, Stance};
pub use self::identity::{crowd, limit_tag, override_prefix, rule_prefix};
pub use self::index::Candidates;
pub use self::network_set::NetworkSet;
pub use self::pattern::{Pattern, Wildcard};
pub use self::regex::{Regex, RegexError};
pub use self::shown::{Shown, end_of};
pub use self::template::{Field, Piece, Template};
pub use self::tree::{Bound, Leaf, Manner, Metadata, NodeId, STAR, Tree, with_name};

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::alert::Target;
use crate::directory::{Directory, Found, Lives};
use crate::key::{HashKey, Identity, LimitTag, Prefix};
use crate::limit::{Algorithm, Limit};
use crate::query::Entries;

use self::candidate::Candidate;
use self::index::Index;
use self::named::Named;

/// Everything that was loaded, by domain.
#[derive(Debug)]
pub struct RuleSet {
    domains: Named<Domain>,
    hash_key: HashKey,
}

/// The rules of one domain.
#[derive(Debug)]
pub struct Domain {
    pub name: Box<str>,
    /// Whether a call may bring a budget along.
    pub overrides: bool,
    /// What callers are told, where the rule that is shown says nothing else.
    pub answers: Answers,
    speaks: bool,
    pub unmatched: Unmatched,
    /// Whether whoever holds a key may see what it has used.
    pub my_usage: bool,
    /// How values of entries are shown to people.
    shown: Shown,
    /// Positions of the rules whose calls open holds.
    holding: Box<[u32]>,
    /// Positions of the rules that keep people out.
    banning: Box<[u32]>,
    /// Where alerts may go, by name.
    pub alerts: HashMap<Box<str>, Arc<Target>>,
    /// What is known of those who call, if the domain keeps a directory.
    pub directory: Option<Directory>,
    rules: Box<[Rule]>,
    /// Positions of the rules by name: calls that end holds look theirs up.
    by_name: HashMap<Box<str>, u32, RandomState>,
    index: Index,
    /// The rules of its `descriptors:`, if it has any. They stand behind all others.
    tree: Option<Tree>,
    override_prefix: Prefix,
}

/// One rule: to whom it applies, what it counts by, and its limits.
#[derive(Debug)]
pub struct Rule {
    pub name: Box<str>,
    pub conditions: Box<[Condition]>,
    pub count_by: Box<[Counted]>,
    pub costs: Box<[Cost]>,
    pub limits: Limits,
    pub prefix: Prefix,
    /// What callers are told when this rule is the one shown; it outranks the domain's.
    pub answers: Option<Box<Answers>>,
    /// The rule whose counters are charged; its own name, unless it shares those of another.
    pub counter: Box<str>,
    /// Whether calls may give back what was used.
    pub refundable: bool,
    /// What does not apply to a call that this rule applies to.
    pub replaces: Box<[Replaced]>,
    pub force: Force,
    pub hold: Option<Box<Hold>>,
    pub dedupe: Option<Box<Dedupe>>,
    pub ban: Option<Box<Ban>>,
    /// What it has beyond other rules, if it stands in a tree.
    pub leaf: Option<Box<Leaf>>,
    /// Whether deciding it takes its counters and nothing else; found out by its domain.
    pub plain: bool,
}

/// A rule, or one limit of it, that another takes the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub rule: Box<str>,
    /// Rule and limit name; the whole rule if none is named.
    pub label: Option<Box<str>>,
}

/// What becomes of a descriptor that no rule of its domain matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    #[default]
    Pass,
    Refuse,
}

/// What a hit costs when the conditions hold.
#[derive(Debug)]
pub struct Cost {
    pub conditions: Box<[Condition]>,
    pub cost: u64,
}

/// Where a rule takes its limits from.
#[derive(Debug)]
pub enum Limits {
    Own(Box<[Limit]>),
    Plans {
        /// The entry that names the plan.
        from: Box<str>,
        plans: HashMap<Box<str>, Box<[Limit]>, RandomState>,
        /// The plan that serves an absent or unknown one; without it, such a call is refused.
        otherwise: Option<Box<str>>,
    },
}

/// The limits that a rule holds a descriptor to.
#[derive(Clone, Copy, Debug)]
pub enum Held<'a> {
    To(&'a [Limit]),
    /// No plan serves the descriptor.
    Refused,
}

impl Limits {
    /// The limits of every plan, or the rule's own.
    pub fn iter(&self) -> impl Iterator<Item = &Limit> {
        let (own, plans) = match self {
            Limits::Own(limits) => (Some(limits), None),
            Limits::Plans { plans, .. } => (None, Some(plans.values())),
        };
        own.into_iter().chain(plans.into_iter().flatten()).flatten()
    }
}

impl RuleSet {
    pub fn new(hash_key: HashKey, domains: Vec<Domain>) -> RuleSet {
        let by_name = domains.into_iter().map(|domain| (domain.name.clone(), domain));
        RuleSet { domains: by_name.collect(), hash_key }
    }

    #[inline]
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.get(name)
    }

    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.domains.iter().map(|(_, domain)| domain)
    }

    /// From now on the rows that people set are these.
    pub fn attach(&mut self, lives: &Lives) {
        for (name, domain) in self.domains.values_mut() {
            if let Some(directory) = &mut domain.directory {
                directory.attach(lives.of(name));
            }
        }
    }

    /// Under which name a row that people set is kept.
    pub fn row_identity(&self, domain: &str, key: &str) -> Identity {
        self.identity(&["directory", domain, key])
    }

    /// Under which name a rule that people switched is kept.
    pub fn switch_key(&self, domain: &str, rule: &str) -> Identity {
        self.identity(&["switch", domain, rule])
    }

    /// The identity of these parts, the first of which says what they name.
    pub fn identity(&self, parts: &[&str]) -> Identity {
        self.hash_key.prefix(parts).identity()
    }

    /// The tag of a limit that a call brought along.
    pub fn override_tag(&self, window_us: u64) -> LimitTag {
        let algorithm = Algorithm::FixedWindow { window_us };
        limit_tag(&self.hash_key, "", &algorithm)
    }

    /// Every counter that these rules may charge, by a name for people. What the old
    /// set had and the new one lacks is what a reload leaves behind.
    pub fn counters(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for domain in self.domains() {
            for rule in &domain.rules {
                let by: Vec<_> = rule.count_by.iter().map(ToString::to_string).collect();
                let by = by.join(", ");
                let name = |limit: &Limit| {
                    format!("{}: {} by [{by}], {}", domain.name, limit.label, limit.algorithm)
                };
                names.extend(rule.all_limits().map(name));
            }
        }
        names
    }
}

impl Domain {
    pub fn new(key: &HashKey, name: &str, overrides: bool, mut rules: Vec<Rule>) -> Domain {
        rules.iter_mut().for_each(|rule| rule.plain = rule.is_plain());
        Domain {
            name: name.into(),
            overrides,
            answers: Answers::default(),
            alerts: HashMap::new(),
            directory: None,
            unmatched: Unmatched::default(),
            my_usage: false,
            shown: Shown::new(*key, name, Box::default()),
            holding: positions(&rules, |rule| rule.hold.is_some()),
            banning: positions(&rules, |rule| rule.ban.is_some()),
            speaks: rules.iter().any(|rule| rule.answers.is_some()),
            by_name: by_name(&rules),
            index: Index::new(&rules),
            tree: None,
            override_prefix: override_prefix(key, name),
            rules: rules.into(),
        }
    }

    /// The same domain, whose callers are told this.
    pub fn with_answers(self, answers: Answers) -> Domain {
        let speaks = self.speaks || !answers.are_silent();
        Domain { answers, speaks, ..self }
    }

    /// The same domain, in which the values of these entries are secret.
    pub fn with_secrets(self, key: HashKey, secret: Box<[Box<str>]>) -> Domain {
        Domain { shown: Shown::new(key, &self.name, secret), ..self }
    }

    /// How values of entries are shown to people.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Whether answers say more than the statuses, for some of its calls at least.
    pub fn speaks(&self) -> bool {
        self.speaks
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of this name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        let position = *self.by_name.get(name)?;
        Some(&self.rules[position as usize])
    }

    /// A limit by its rule and limit name, of whichever plan: how it measures is the same in all.
    pub fn limit(&self, label: &str) -> Option<&Limit> {
        let (rule, _) = label.rsplit_once('.')?;
        self.rule(rule)?.all_limits().find(|limit| *limit.label == *label)
    }

    /// The holds that a descriptor ends, each with its id if the descriptor says which it is.
    pub fn settled<'e>(
        &self,
        entries: &Entries<'e>,
    ) -> impl Iterator<Item = (&Hold, Option<&'e str>)> {
        let rules = self.holding.iter().map(|&position| &self.rules[position as usize]);
        let holds = rules.filter_map(|rule| rule.hold.as_deref());
        let ended = holds.filter(|hold| hold.is_settled_by(entries));
        ended.map(|hold| (hold, entries.get(&hold.by)))
    }

    /// Whether a call has to do with nothing but the counters of its rules, as far as the domain
    /// can tell: no directory adds to it, and it ends no hold and meets no ban.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.directory.is_none() && self.holding.is_empty() && self.banning.is_empty()
    }

    /// The rules that keep people out.
    pub fn banning(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.banning.iter().map(|&position| &self.rules[position as usize])
    }

    /// The rules that apply to a descriptor, in file order.
    pub fn matching(&self, entries: &Entries<'_>) -> impl Iterator<Item = &Rule> {
        let mut found = Candidates::new();
        self.index.find(entries, &mut found);
        let rules = found.into_iter().filter_map(|candidate| self.met(candidate, entries));
        rules.filter(|rule| rule.finds_whom_to_count(entries)).chain(self.leaf(entries))
    }

    /// The rule that a descriptor leads to in the domain's tree.
    pub fn leaf(&self, entries: &Entries<'_>) -> Option<&Rule> {
        let position = self.tree.as_ref()?.find(entries)?;
        Some(&self.rules[position as usize])
    }

    /// Whether the domain has the rules of a tree, and nothing else that calls could meet.
    pub fn is_tree_alone(&self) -> bool {
        let first = self.rules.first();
        self.is_plain() && first.is_some_and(|rule| rule.leaf.is_some())
    }

    /// How calls are decided by the domain's tree, if it has one.
    pub fn manner(&self) -> Option<Manner> {
        self.tree.as_ref().map(|tree| tree.manner)
    }

    /// The same domain with the rules of a tree besides.
    pub fn with_tree(self, mut tree: Tree, leaves: Vec<Rule>) -> Domain {
        let mut rules = self.rules.into_vec();
        // Files are bounded far below what 32 bits count.
        tree.count_from(u32::try_from(rules.len()).unwrap_or(u32::MAX));
        rules.extend(leaves);
        Domain { by_name: by_name(&rules), tree: Some(tree), rules: rules.into(), ..self }
    }

    /// The same with whom each of them counts. `room` is for what is found underway.
    #[inline]
    pub fn counting<'d>(
        &'d self,
        entries: &Entries<'_>,
        room: &mut Candidates,
    ) -> impl Iterator<Item = (&'d Rule, Identity)> {
        self.index.find(entries, room);
        room.iter().filter_map(|candidate| {
            let rule = self.met(*candidate, entries)?;
            Some((rule, rule.whom(entries)?))
        })
    }

    /// The rule of a candidate, if its conditions hold.
    #[inline]
    fn met(&self, candidate: Candidate, entries: &Entries<'_>) -> Option<&Rule> {
        let rule = &self.rules[candidate.position()];
        (candidate.holds() || holds(&rule.conditions, entries)).then_some(rule)
    }

    /// What the directory knows of whoever has these entries.
    pub fn row(&self, entries: &Entries<'_>) -> Option<Found<'_>> {
        let directory = self.directory.as_ref()?;
        directory.row(entries.get(&directory.by)?)
    }

    /// Whose budget an override is: that of all its entries, in order. Where there is a tree it is
    /// counted where the tree would.
    pub fn override_identity(&self, entries: &Entries<'_>) -> Identity {
        let mut prefix = self.override_prefix.clone();
        for entry in entries.iter() {
            if self.tree.is_some() {
                with_name(entry, |name| prefix.push(name));
                continue;
            }
            prefix.push(entry.key);
            prefix.push(entry.value);
        }
        prefix.identity()
    }
}

impl Rule {
    fn finds_whom_to_count(&self, entries: &Entries<'_>) -> bool {
        self.count_by.iter().all(|counted| entries.get(&counted.entry).is_some())
    }

    /// Whether its calls leave no note, wait for nobody and replace nothing.
    fn is_plain(&self) -> bool {
        let alone = self.hold.is_none() && self.dedupe.is_none() && self.ban.is_none();
        alone && self.replaces.is_empty() && self.all_limits().all(Limit::is_plain)
    }

    /// Whom this rule counts: the values it counts by, under its counter's name. What is absent
    /// counts as empty.
    pub fn identity(&self, entries: &Entries<'_>) -> Identity {
        let mut prefix = self.prefix.clone();
        if let Some(leaf) = &self.leaf {
            leaf.count(entries, &mut prefix);
        }
        for (position, counted) in self.count_by.iter().enumerate() {
            let value = entries.get(&counted.entry).unwrap_or_default();
            counted.push(position, value, &mut prefix);
        }
        prefix.identity()
    }

    /// Whom this rule counts, if what it counts by is there.
    #[inline]
    fn whom(&self, entries: &Entries<'_>) -> Option<Identity> {
        let mut prefix = self.prefix.clone();
        for (position, counted) in self.count_by.iter().enumerate() {
            counted.push(position, entries.get(&counted.entry)?, &mut prefix);
        }
        Some(prefix.identity())
    }

    /// The values that this rule counts by, as it counts them.
    pub fn counted(&self, entries: &Entries<'_>) -> Vec<(String, String)> {
        let value = |counted: &Counted| {
            let value = entries.get(&counted.entry).unwrap_or_default();
            (counted.entry.to_string(), str::to_owned(&counted.value(value)))
        };
        match &self.leaf {
            Some(leaf) => leaf.counted(entries),
            None => self.count_by.iter().map(value).collect(),
        }
    }

    /// What one hit costs: the first cost whose conditions hold, else 1.
    #[inline]
    pub fn cost(&self, entries: &Entries<'_>) -> u64 {
        let first = self.costs.iter().find(|cost| holds(&cost.conditions, entries));
        first.map_or(1, |cost| cost.cost)
    }

    #[inline]
    pub fn held(&self, entries: &Entries<'_>) -> Held<'_> {
        match &self.limits {
            Limits::Own(limits) => Held::To(limits),
            Limits::Plans { from, plans, otherwise } => {
                let named = entries.get(from).and_then(|plan| plans.get(plan));
                let serving = named.or_else(|| plans.get(otherwise.as_deref()?));
                serving.map_or(Held::Refused, |limits| Held::To(limits))
            }
        }
    }

    /// The plan that serves a descriptor, if this rule takes its limits from plans.
    pub fn plan(&self, entries: &Entries<'_>) -> Option<&str> {
        let Limits::Plans { from, plans, otherwise } = &self.limits else { return None };
        let named = entries.get(from).and_then(|plan| plans.get_key_value(plan));
        let serving = named.or_else(|| plans.get_key_value(otherwise.as_deref()?));
        serving.map(|(name, _)| &**name)
    }

    /// The limits of every plan, or the rule's own.
    pub fn all_limits(&self) -> impl Iterator<Item = &Limit> {
        self.limits.iter()
    }
}

fn positions(rules: &[Rule], which: impl Fn(&Rule) -> bool) -> Box<[u32]> {
    (0u32..).zip(rules).filter(|(_, rule)| which(rule)).map(|(position, _)| position).collect()
}

/// Of rules with one name, which only a file with errors has, the first.
fn by_name(rules: &[Rule]) -> HashMap<Box<str>, u32, RandomState> {
    let mut by_name = HashMap::with_capacity_and_hasher(rules.len(), RandomState::default());
    for (position, rule) in (0u32..).zip(rules) {
        by_name.entry(rule.name.clone()).or_insert(position);
    }
    by_name
}

fn holds(conditions: &[Condition], entries: &Entries<'_>) -> bool {
    conditions.iter().all(|condition| condition.holds(entries))
}

//! Lists of values that conditions name: each compiled once, however many conditions name it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::decode::{At, Pairs, nearest};
use crate::config::document::Networks;
use crate::rules::{Network, NetworkSet, ValueList};

use super::Compiler;

/// So many members that are no networks are reported of a list: one that holds other things has
/// thousands of them.
const BAD_MEMBERS_SHOWN_MAX: usize = 10;

/// All lists of a file.
#[derive(Default)]
pub struct Lists<'d> {
    lists: Vec<List<'d>>,
    by_name: HashMap<&'d str, usize>,
    /// What `cidr` named so far, by its words as they are written.
    unions: HashMap<Vec<String>, Arc<NetworkSet>>,
}

struct List<'d> {
    name: &'d At<String>,
    members: &'d At<Vec<At<String>>>,
    used: bool,
    values: Option<Arc<ValueList>>,
    networks: Option<Arc<[Network]>>,
}

impl<'d> Lists<'d> {
    pub fn new(lists: Option<&'d Pairs<At<Vec<At<String>>>>>) -> Lists<'d> {
        let pairs = lists.map_or(&[][..], |Pairs(pairs)| pairs);
        let list = |(name, members): &'d (_, _)| List {
            name,
            members,
            used: false,
            values: None,
            networks: None,
        };
        let by_name = (0..).zip(pairs).map(|(position, (name, _))| (name.value.as_str(), position));
        Lists {
            lists: pairs.iter().map(list).collect(),
            by_name: by_name.collect(),
            unions: HashMap::new(),
        }
    }
}

impl Compiler<'_> {
    /// Checks the lists by themselves.
    pub fn lists(&mut self) {
        for list in 0..self.lists.lists.len() {
            let List { name, members, .. } = self.lists.lists[list];
            self.name(name);
            if members.value.is_empty() {
                let what = format!("list `{}` is empty", name.value);
                self.warning(name.span, what, "nothing is in it until it has a member");
            }
        }
    }

    pub fn unused_lists(&mut self) {
        for list in 0..self.lists.lists.len() {
            let List { name, used, .. } = self.lists.lists[list];
            if !used {
                let what = format!("no rule uses list `{}`", name.value);
                let remedy =
                    "name it in `match`, as `{ cidr: … }` or `{ list: … }`, or take it out";
                self.warning(name.span, what, remedy);
            }
        }
    }

    /// The values of a list.
    pub fn value_list(&mut self, name: &At<String>) -> Option<Arc<ValueList>> {
        let list = self.list_named(name)?;
        let List { members, values, .. } = &self.lists.lists[list];
        if let Some(values) = values {
            return Some(values.clone());
        }
        let members = &members.value;
        let spelled = members.iter().map(|member| member.value.as_str().into());
        let values = Arc::new(spelled.collect::<ValueList>());
        let network = |member: &&At<String>| {
            member.value.contains('/') && Network::parse(&member.value).is_some()
        };
        if let Some(network) = members.iter().find(network) {
            let what = format!("`list` compares texts, but `{}` is a network", network.value);
            let remedy =
                format!("to match the addresses in it, write `{{ cidr: {} }}`", name.value);
            self.warning(name.span, what, remedy);
        }
        self.lists.lists[list].values = Some(values.clone());
        Some(values)
    }

    /// The union of addresses, networks and lists of them.
    pub fn network_set(&mut self, words: &At<Networks>) -> Option<Arc<NetworkSet>> {
        let single;
        let words = match &words.value {
            Networks::One(word) => {
                single = [At { span: words.span, value: word.clone() }];
                &single[..]
            }
            Networks::More(list) => {
                if list.is_empty() {
                    let remedy = "list at least one network";
                    self.error(words.span, "an empty list matches nothing", remedy);
                }
                list
            }
        };
        let spelled: Vec<String> = words.iter().map(|word| word.value.clone()).collect();
        if let Some(known) = self.lists.unions.get(&spelled) {
            return Some(known.clone());
        }
        // Every word is looked at, so that every error is found.
        let parts: Vec<_> = words.iter().map(|word| self.networks(word)).collect();
        let parts: Option<Vec<_>> = parts.into_iter().collect();
        let set = Arc::new(NetworkSet::new(parts?.iter().flat_map(|part| part.iter().copied())));
        self.lists.unions.insert(spelled, set.clone());
        Some(set)
    }

    /// What one word of `cidr` stands for.
    fn networks(&mut self, word: &At<String>) -> Option<Arc<[Network]>> {
        if word.value.contains(['.', ':', '/']) {
            return self.network(word).map(|network| Arc::from([network]));
        }
        let list = self.list_named(word)?;
        if let Some(networks) = &self.lists.lists[list].networks {
            return Some(networks.clone());
        }
        let networks = self.members(list);
        self.lists.lists[list].networks = Some(networks.clone());
        Some(networks)
    }

    /// The members of a list as networks; what is none is reported once, whoever asks.
    fn members(&mut self, list: usize) -> Arc<[Network]> {
        let members = &self.lists.lists[list].members.value;
        let mut networks = Vec::with_capacity(members.len());
        let mut bad = 0;
        for member in members {
            match self.network(member) {
                Some(network) => networks.push(network),
                None => bad += 1,
            }
            if bad == BAD_MEMBERS_SHOWN_MAX {
                break;
            }
        }
        networks.into()
    }

    fn network(&mut self, text: &At<String>) -> Option<Network> {
        let At { span, value } = text;
        match Network::parse_with_host_bits(value) {
            Some((network, false)) => Some(network),
            Some((network, true)) => {
                let address = value.split('/').next().unwrap_or_default();
                let what = format!("`{value}` has bits set beyond its mask");
                let remedy = format!("write `{network}`, or `{address}` for the one address");
                self.error(*span, what, remedy);
                None
            }
            None => {
                let what = format!("`{value}` is neither an address nor a network");
                self.error(*span, what, "write it as 10.0.0.0/8, 2a00::/12 or 192.0.2.1");
                None
            }
        }
    }

    /// The position of a list; none if it does not exist, or could not be read.
    fn list_named(&mut self, name: &At<String>) -> Option<usize> {
        if let Some(&position) = self.lists.by_name.get(name.value.as_str()) {
            self.lists.lists[position].used = true;
            return Some(position);
        }
        if self.left_out.contains(&name.value) || self.left_out.contains("lists") {
            return None;
        }
        let names = self.lists.lists.iter().map(|list| list.name.value.as_str());
        let names: Vec<_> = names.collect();
        let remedy = match nearest(&name.value, &names) {
            Some(list) => format!("did you mean `{list}`?"),
            None => "define it under `lists:`".into(),
        };
        self.error(name.span, format!("there is no list `{}`", name.value), remedy);
        None
    }
}

//! Many networks as one set, asked in a search whatever their number.

use super::address::{Addresses, Network};

/// The union of some networks. Each family is sorted, and no two spans overlap or touch, so a
/// network that lies within the set lies within one span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSet {
    v4: Box<[Span<u32>]>,
    v6: Box<[Span<u128>]>,
}

/// Addresses from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span<T> {
    first: T,
    last: T,
}

impl NetworkSet {
    pub fn new(networks: impl IntoIterator<Item = Network>) -> NetworkSet {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.addresses() {
                Addresses::V4 { first, last } => v4.push(Span { first, last }),
                Addresses::V6 { first, last } => v6.push(Span { first, last }),
            }
        }
        NetworkSet {
            v4: merged(v4, |last| last.checked_add(1)),
            v6: merged(v6, |last| last.checked_add(1)),
        }
    }

    /// Whether an address, or all of a network, is in the set.
    pub fn contains(&self, network: Network) -> bool {
        match network.addresses() {
            Addresses::V4 { first, last } => within(&self.v4, Span { first, last }),
            Addresses::V6 { first, last } => within(&self.v6, Span { first, last }),
        }
    }
}

fn merged<T: Copy + Ord>(mut spans: Vec<Span<T>>, next: impl Fn(T) -> Option<T>) -> Box<[Span<T>]> {
    spans.sort_unstable();
    let mut disjoint: Vec<Span<T>> = Vec::new();
    for span in spans {
        match disjoint.last_mut() {
            // Without a next address the span before reaches to the end of all.
            Some(before) if next(before.last).is_none_or(|next| span.first <= next) => {
                before.last = before.last.max(span.last);
            }
            _ => disjoint.push(span),
        }
    }
    disjoint.into()
}

fn within<T: Copy + Ord>(spans: &[Span<T>], asked: Span<T>) -> bool {
    let up_to = spans.partition_point(|span| span.first <= asked.first);
    up_to.checked_sub(1).is_some_and(|last| asked.last <= spans[last].last)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use ipnet::IpNet;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn set(networks: &[&str]) -> NetworkSet {
        NetworkSet::new(networks.iter().map(|text| Network::parse(text).expect("a network")))
    }

    fn holds(set: &NetworkSet, text: &str) -> bool {
        Network::parse(text).is_some_and(|network| set.contains(network))
    }

    #[test]
    fn families_are_kept_apart() {
        let all_v6 = set(&["::/0"]);
        assert!(holds(&all_v6, "2a00::1"));
        assert!(!holds(&all_v6, "10.0.0.1"));
        assert!(!holds(&all_v6, "::ffff:10.0.0.1"), "a mapped address is IPv4");
        assert!(holds(&set(&["::ffff:10.0.0.0/104"]), "10.0.0.1"));
        assert!(!holds(&set(&["0.0.0.0/0"]), "::1"));
    }

    #[test]
    fn a_network_is_in_the_set_if_all_of_it_is() {
        let halves = set(&["10.128.0.0/9", "10.0.0.0/9", "10.3.0.0/16"]);
        assert_eq!(halves.v4.len(), 1, "what touches is one span");
        assert!(holds(&halves, "10.0.0.0/8"));
        assert!(!holds(&halves, "10.0.0.0/7"));
        assert!(holds(&set(&["255.255.255.255", "255.255.255.254"]), "255.255.255.254/31"));
        assert!(!holds(&NetworkSet::default(), "10.0.0.1"));
    }

    /// Networks close to one another, so that they overlap and touch often.
    fn network() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u8>(), 24..=32u8)
            .prop_map(|(host, bits)| (IpAddr::V4(Ipv4Addr::new(255, 255, 255, host)), bits));
        let v6 = (any::<u8>(), 120..=128u8)
            .prop_map(|(host, bits)| (IpAddr::V6(Ipv6Addr::from_bits(u128::from(host))), bits));
        prop_oneof![v4, v6].prop_map(|(address, bits)| {
            IpNet::new(address, bits).expect("a number of bits").trunc()
        })
    }

    proptest! {
        #[test]
        fn the_set_holds_what_one_of_its_networks_holds(
            networks in vec(network(), 0..12),
            asked in vec(network(), 1..20),
        ) {
            let parse = |network: &IpNet| Network::parse(&network.to_string()).expect("a network");
            let set = NetworkSet::new(networks.iter().map(parse));
            for asked in &asked {
                // Address by address: those of one network may lie in several others.
                let naive = asked.hosts().chain([asked.network(), asked.broadcast()]);
                let naive = naive.into_iter().all(|address| {
                    networks.iter().any(|network| network.contains(&address))
                });
                prop_assert_eq!(set.contains(parse(asked)), naive, "{}", asked);
            }
        }
    }
}

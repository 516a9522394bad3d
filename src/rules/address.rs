//! Addresses and networks, read from the texts that proxies and people write.
//!
//! One address has many spellings; what is read here is the same for all of them. Knows neither
//! rules nor entries.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

pub const V4_BITS: u8 = Ipv4Addr::BITS as u8;
pub const V6_BITS: u8 = Ipv6Addr::BITS as u8;

/// How many leading bits an IPv4-mapped IPv6 address has ahead of its IPv4 address.
const MAPPED_BITS: u8 = V6_BITS - V4_BITS;

/// The longest text of a network: eight groups of four digits and `/128`.
const TEXT_BYTES_MAX: usize = 43;

/// A network, its host bits zero; a single address is a network of all its bits. What lies within
/// the IPv4-mapped part of IPv6 is IPv4 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

/// The addresses of a network, the last included, by the family they belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    V4 { first: u32, last: u32 },
    V6 { first: u128, last: u128 },
}

/// How many leading bits of an address tell one network from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masks {
    /// 0 to 32.
    pub v4: u8,
    /// 0 to 128.
    pub v6: u8,
}

impl Network {
    /// Reads `10.1.2.3`, `::1`, `[::1]`, `fe80::1%eth0` (whose zone is dropped) or `10.0.0.0/8`;
    /// nothing if it is none of them. Host bits are dropped.
    pub fn parse(text: &str) -> Option<Network> {
        let (network, _) = Network::parse_with_host_bits(text)?;
        Some(network)
    }

    /// Reads a network, and whether bits were set beyond its mask.
    pub fn parse_with_host_bits(text: &str) -> Option<(Network, bool)> {
        let written = match text.split_once('/') {
            Some((address, bits)) => IpNet::new(address.parse().ok()?, bits_of(bits)?).ok()?,
            None => IpNet::from(parse_address(text)?),
        };
        let network = written.trunc();
        Some((Network::of(network), written.addr() != network.addr()))
    }

    fn of(network: IpNet) -> Network {
        let mapped = match (network.addr(), network.prefix_len().checked_sub(MAPPED_BITS)) {
            (IpAddr::V6(address), Some(bits)) => address.to_ipv4_mapped().zip(Some(bits)),
            _ => None,
        };
        let v4 = mapped.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok());
        Network(v4.map_or(network, IpNet::V4))
    }

    /// Whether it has addresses of more than one network of so many bits.
    pub fn is_wider_than(self, masks: Masks) -> bool {
        let bits = match self.0 {
            IpNet::V4(_) => masks.v4,
            IpNet::V6(_) => masks.v6,
        };
        self.0.prefix_len() < bits
    }

    /// The network of so many bits that this one lies in; itself if it is wider than that.
    pub fn masked(self, masks: Masks) -> Network {
        let bits = match self.0 {
            IpNet::V4(_) => masks.v4,
            IpNet::V6(_) => masks.v6,
        };
        let bits = bits.min(self.0.prefix_len());
        let wider = IpNet::new(self.0.addr(), bits);
        Network(wider.map_or(self.0, |network| network.trunc()))
    }

    pub fn addresses(self) -> Addresses {
        match self.0 {
            IpNet::V4(it) => {
                Addresses::V4 { first: it.network().to_bits(), last: it.broadcast().to_bits() }
            }
            IpNet::V6(it) => {
                Addresses::V6 { first: it.network().to_bits(), last: it.broadcast().to_bits() }
            }
        }
    }

    /// Its one spelling, such as `10.0.0.0/8` or `::1/128`, without an allocation.
    pub fn text(self) -> NetworkText {
        let mut text = NetworkText { bytes: [0; TEXT_BYTES_MAX], length: 0 };
        write!(text, "{}", self.0).expect("the longest network has room");
        text
    }
}

/// In digits, as `16` is; `+8` and `08` are no numbers of bits that a person or Envoy writes.
fn bits_of(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = 1 < text.len() && text.starts_with('0');
    if plain && !padded { text.parse().ok() } else { None }
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner.unwrap_or(text).split_once('%') {
        Some((address, _zone)) => address.parse().ok().map(IpAddr::V6),
        None => match inner {
            Some(address) => address.parse().ok().map(IpAddr::V6),
            None => text.parse().ok(),
        },
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text of a network, held in place.
#[derive(Clone, Copy, Debug)]
pub struct NetworkText {
    bytes: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl NetworkText {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("whole texts were written")
    }
}

impl fmt::Write for NetworkText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.length + part.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<String> {
        Network::parse(text).map(|network| network.text().as_str().to_owned())
    }

    #[test]
    fn one_address_is_one_network_however_it_is_written() {
        for (written, network) in [
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("127.0.0.0/16", "127.0.0.0/16"),
            ("0:0:0:0:0:0:0:1", "::1/128"),
            ("[::1]", "::1/128"),
            ("FE80::1%eth0", "fe80::1/128"),
            ("[fe80::1%25eth0]", "fe80::1/128"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("[::ffff:a01:203]", "10.1.2.3/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parsed(written).as_deref(), Some(network), "{written}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in [
            "",
            "localhost",
            "10.1.2",
            "10.1.2.3.4",
            "010.1.2.3",
            " 10.1.2.3",
            "10.1.2.3:80",
            "[10.1.2.3]",
            "[::1",
            "::1]",
            "[::1]:80",
            "[::1]/64",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "::/129",
            "1.2.3.4%eth0",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_text_has_room() {
        let longest = "1111:2222:3333:4444:5555:6666:7777:8888";
        assert_eq!(parsed(longest), Some(format!("{longest}/128")));
        assert_eq!(longest.len() + "/128".len(), TEXT_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn masking_keeps_the_leading_bits(address: IpAddr, v4 in 0..=32u8, v6 in 0..=128u8) {
            let network = Network::parse(&address.to_string()).expect("an address");
            let masked = network.masked(Masks { v4, v6 }).text().as_str().to_owned();
            let expected = match address.to_canonical() {
                IpAddr::V4(it) => {
                    let mask = u32::MAX.checked_shl(32 - u32::from(v4)).unwrap_or(0);
                    format!("{}/{v4}", Ipv4Addr::from_bits(it.to_bits() & mask))
                }
                IpAddr::V6(it) => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(v6)).unwrap_or(0);
                    format!("{}/{v6}", Ipv6Addr::from_bits(it.to_bits() & mask))
                }
            };
            prop_assert_eq!(masked, expected);
        }
    }
}

//! Addresses and networks, and a set of them with fast lookup.
//!
//! In: words like `192.0.2.0/24` from greytrapper.conf(5) and from tables of pf(4). Out: [`Networks`],
//! which is looked up once for every host in a scan. Two networks are either nested or disjoint, so a
//! sorted set without the nested ones allows binary search. An IPv4-mapped IPv6 address (RFC 4291 section
//! 2.5.5.2) is treated as the IPv4 address in it everywhere.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and the number of its leading bits that matter; the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The network's first address.
    pub address: IpAddr,
    /// Leading bits that matter: up to 32, or 128.
    pub prefix: u8,
}

impl Network {
    /// The network with `prefix` bits that contains `address`; the other bits are cleared. `None` if the
    /// address does not have that many bits.
    pub fn holding(address: IpAddr, prefix: u8) -> Option<Network> {
        let bits = address_bits(address);
        let host_bits = bits.checked_sub(u32::from(prefix))?;
        let network = match address {
            IpAddr::V4(a) => {
                IpAddr::V4((u32::from(a) & u32::MAX.checked_shl(host_bits).unwrap_or(0)).into())
            }
            IpAddr::V6(a) => {
                IpAddr::V6((u128::from(a) & u128::MAX.checked_shl(host_bits).unwrap_or(0)).into())
            }
        };
        Some(Network { address: network, prefix }.unmapped())
    }

    /// The network that contains only this address.
    pub fn host(address: IpAddr) -> Network {
        let address = address.to_canonical();
        Network { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// An address, or a network as in greytrapper.conf(5).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Network, String> {
        super::value::network(text).map(|written| written.network).map_err(|what| what.to_string())
    }

    /// Its first and its last address.
    pub fn range(self) -> (IpAddr, IpAddr) {
        let last = match self.address {
            IpAddr::V4(a) => IpAddr::V4(last_v4(a, self.prefix).into()),
            IpAddr::V6(a) => IpAddr::V6(last_v6(a, self.prefix).into()),
        };
        (self.address, last)
    }

    fn unmapped(self) -> Network {
        match (self.address.to_canonical(), self.prefix.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(prefix)) if self.address.is_ipv6() => {
                Network { address, prefix }
            }
            _ => self,
        }
    }
}

impl fmt::Display for Network {
    /// As in greytrapper.conf(5): a single address is written without a prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if u32::from(self.prefix) < address_bits(self.address) {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

/// A set of networks on its way: it needs little more memory than the set.
#[derive(Debug, Default)]
pub(crate) struct Gathering(Networks);

impl Gathering {
    /// Adds a network.
    pub(crate) fn add(&mut self, network: Network) {
        match network.range() {
            (IpAddr::V4(first), IpAddr::V4(last)) => self.0.v4.push((first.into(), last.into())),
            (IpAddr::V6(first), IpAddr::V6(last)) => self.0.v6.push((first.into(), last.into())),
            // Both are of one family.
            _ => {}
        }
    }

    /// How many were added.
    pub(crate) fn len(&self) -> usize {
        self.0.v4.len().saturating_add(self.0.v6.len())
    }

    /// The set.
    pub(crate) fn finish(mut self) -> Networks {
        keep_outermost(&mut self.0.v4);
        keep_outermost(&mut self.0.v6);
        self.0
    }
}

/// Sorts ranges in place, and drops ranges within others.
fn keep_outermost<T: Ord + Copy>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable_by_key(|&(first, last)| (first, std::cmp::Reverse(last)));
    let mut end = None;
    ranges.retain(|&(_, last)| {
        let is_outside = end.is_none_or(|end| last > end);
        if is_outside {
            end = Some(last);
        }
        is_outside
    });
}

/// A set of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// The set of these networks; networks within others are dropped.
    pub fn new(networks: Vec<Network>) -> Networks {
        Networks::labelled(networks.into_iter().map(|network| (network, ())).collect()).0
    }

    /// The same for networks with a label each; the labels of those in the set, in its order.
    pub(super) fn labelled<L>(networks: Vec<(Network, L)>) -> (Networks, Vec<L>) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, label) in networks {
            let Some(Network { address, prefix }) =
                Network::holding(network.address, network.prefix)
            else {
                continue;
            };
            match address {
                IpAddr::V4(a) => v4.push(((a.into(), last_v4(a, prefix)), label)),
                IpAddr::V6(a) => v6.push(((a.into(), last_v6(a, prefix)), label)),
            }
        }
        let (v4, mut labels) = outermost(v4);
        let (v6, others) = outermost(v6);
        labels.extend(others);
        (Networks { v4, v6 }, labels)
    }

    /// Whether one of the networks contains `address`.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.position(address).is_some()
    }

    /// The number of the network that contains `address`, in the order of [`Self::iter`].
    pub fn position(&self, address: IpAddr) -> Option<usize> {
        match address.to_canonical() {
            IpAddr::V4(a) => position(&self.v4, a.into()),
            IpAddr::V6(a) => position(&self.v6, a.into())?.checked_add(self.v4.len()),
        }
    }

    /// Whether there is no network at all.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The networks: IPv4 first, in ascending order, none within another.
    pub fn iter(&self) -> impl Iterator<Item = Network> + '_ {
        let v4 = self.v4.iter().map(|&(first, last)| {
            (IpAddr::V4(Ipv4Addr::from(first)), (first ^ last).leading_zeros())
        });
        let v6 = self.v6.iter().map(|&(first, last)| {
            (IpAddr::V6(Ipv6Addr::from(first)), (first ^ last).leading_zeros())
        });
        v4.chain(v6).filter_map(|(address, bits)| {
            u8::try_from(bits).ok().map(|prefix| Network { address, prefix })
        })
    }
}

fn address_bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS }
}

/// The last address with the first `prefix` bits of this one.
fn last_v4(address: Ipv4Addr, prefix: u8) -> u32 {
    u32::from(address) | u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

/// The same for IPv6.
fn last_v6(address: Ipv6Addr, prefix: u8) -> u128 {
    u128::from(address) | u128::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

/// Sorts ranges and drops ranges within others. Of ranges with the same beginning the longest comes first,
/// and of equal ones the first.
fn outermost<T: Ord + Copy, L>(mut ranges: Vec<((T, T), L)>) -> (Vec<(T, T)>, Vec<L>) {
    ranges.sort_by_key(|&((first, last), _)| (first, std::cmp::Reverse(last)));
    let mut end = None;
    ranges.retain(|&((_, last), _)| {
        let outside = end.is_none_or(|end| last > end);
        if outside {
            end = Some(last);
        }
        outside
    });
    ranges.into_iter().unzip()
}

/// The number of the range that contains `value`.
fn position<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> Option<usize> {
    let after = ranges.partition_point(|&(first, _)| first <= value);
    let number = after.checked_sub(1)?;
    ranges.get(number).filter(|&&(_, last)| value <= last).map(|_| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> Network {
        match text.split_once('/') {
            Some((address, prefix)) => {
                Network::holding(address.parse().unwrap(), prefix.parse().unwrap()).unwrap()
            }
            None => Network::host(text.parse().unwrap()),
        }
    }

    fn set(texts: &[&str]) -> Networks {
        Networks::new(texts.iter().map(|t| net(t)).collect())
    }

    fn has(set: &Networks, address: &str) -> bool {
        set.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_ends_where_its_prefix_says() {
        let set = set(&["192.0.2.64/26", "2001:db8:1::/48", "198.51.100.7"]);
        for inside in ["192.0.2.64", "192.0.2.127", "198.51.100.7", "2001:db8:1:ffff::1"] {
            assert!(has(&set, inside), "{inside}");
        }
        for outside in [
            "192.0.2.63",
            "192.0.2.128",
            "198.51.100.6",
            "198.51.100.8",
            "2001:db8:0:ffff:ffff:ffff:ffff:ffff",
            "2001:db8:2::",
            "0.0.0.0",
            "255.255.255.255",
            "::",
        ] {
            assert!(!has(&set, outside), "{outside}");
        }
    }

    #[test]
    fn mapped_addresses_are_ipv4_on_both_sides() {
        assert!(has(&set(&["192.0.2.0/24"]), "::ffff:192.0.2.1"));
        assert!(has(&set(&["::ffff:192.0.2.1"]), "192.0.2.1"));
        let mapped = set(&["::ffff:192.0.2.0/120"]);
        assert!(has(&mapped, "192.0.2.255"));
        assert!(!has(&mapped, "192.0.3.0"));
        assert_eq!(net("::ffff:192.0.2.0/120").to_string(), "192.0.2.0/24");
    }

    #[test]
    fn the_empty_set_holds_nothing_and_the_whole_space_everything() {
        assert!(!has(&set(&[]), "192.0.2.1"));
        let all = set(&["0.0.0.0/0", "::/0"]);
        for address in ["0.0.0.0", "255.255.255.255", "::", "ffff::"] {
            assert!(has(&all, address), "{address}");
        }
        assert!(!has(&set(&["::/0"]), "192.0.2.1"));
    }

    #[test]
    fn nested_networks_are_one_and_neighbours_stay_two() {
        let set = set(&["10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/25", "11.0.0.0/8"]);
        let shown: Vec<String> = set.iter().map(|n| n.to_string()).collect();
        assert_eq!(shown, ["10.0.0.0/8", "11.0.0.0/8"]);
        assert!(has(&set, "10.200.0.1"));
    }

    #[test]
    fn impossible_prefixes_make_no_network() {
        assert_eq!(Network::holding("192.0.2.0".parse().unwrap(), 33), None);
        assert_eq!(Network::holding("::".parse().unwrap(), 129), None);
        let wrong = Network { address: "192.0.2.0".parse().unwrap(), prefix: 40 };
        assert!(Networks::new(vec![wrong]).is_empty());
    }

    fn any_network() -> impl Strategy<Value = Network> {
        // Few distinct bits, so that networks meet.
        prop_oneof![
            (any::<u16>(), 0u8..=32).prop_map(|(a, p)| {
                Network::holding(IpAddr::V4((u32::from(a) << 16 | u32::from(a)).into()), p).unwrap()
            }),
            (any::<u16>(), 0u8..=128).prop_map(|(a, p)| {
                Network::holding(IpAddr::V6((u128::from(a) << 112).into()), p).unwrap()
            }),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_asking_each_network(
            networks in prop::collection::vec(any_network(), 0..40),
            probe in any_network(),
        ) {
            let expected = networks.iter().any(|n| {
                n.address.is_ipv4() == probe.address.is_ipv4()
                    && Network::holding(probe.address, n.prefix).unwrap().address == n.address
            });
            let gathered = networks.clone();
            let set = Networks::new(networks);
            prop_assert_eq!(set.contains(probe.address), expected);
            prop_assert_eq!(&Networks::new(set.iter().collect()), &set);
            let mut gathering = Gathering::default();
            gathered.into_iter().for_each(|network| gathering.add(network));
            prop_assert_eq!(&gathering.finish(), &set);
        }
    }
}

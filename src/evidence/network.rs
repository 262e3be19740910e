//! Networks: what one sender is taken to have.

use std::net::IpAddr;

/// Beside the 16 bits of an IPv4 network, this marks one of IPv6.
const IPV6: u64 = 1 << 32;

/// The /16 of an IPv4 address, or the /32 of an IPv6 address: what different senders do not share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(u64);

impl Network {
    /// The network of an address. IPv4 addresses that are mapped into IPv6 (RFC 4291, 2.5.5.2) are in that of
    /// the IPv4 address.
    pub fn of(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(four) => Network(u64::from(u32::from(four) >> 16)),
            IpAddr::V6(six) => {
                let [one, two, ..] = six.segments();
                Network(IPV6 | u64::from(one) << 16 | u64::from(two))
            }
        }
    }

    /// A number that no other network has.
    pub fn number(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_share_a_16_or_a_32() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        for (one, other, is_same) in [
            ("192.0.2.1", "192.0.255.9", true),
            ("192.0.2.1", "192.1.2.1", false),
            ("192.0.2.1", "::ffff:192.0.9.9", true),
            ("2001:db8::1", "2001:db8:ffff::2", true),
            ("2001:db8::1", "2001:db9::1", false),
            ("0.0.0.1", "::1", false),
            ("192.0.2.1", "0:c000::1", false),
        ] {
            assert_eq!(network(one) == network(other), is_same, "{one} {other}");
        }
    }
}

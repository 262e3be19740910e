//! A host's address as a number, so that hosts are told apart by what they are and not by how
//! somebody wrote them.
//!
//! Text from a record's key comes in, two words go out. spamd(8) writes what getnameinfo(3) gives it,
//! but WHITE and TRAPPED records may be typed by hand: `2001:DB8::1` and `2001:db8::1` are one host,
//! and so are `192.0.2.1` and `::ffff:192.0.2.1`. Taking two spellings for one host can only spare it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address; IPv4 as the mapped form of RFC 4291, 2.5.5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    /// The leading 64 bits.
    pub high: u64,
    /// The others.
    pub low: u64,
}

impl Address {
    /// The address that `text` spells; `None` for everything else, scoped addresses included: such a
    /// host could not be trapped.
    pub fn parse(text: &[u8]) -> Option<Address> {
        let ip = match dotted_quad(text) {
            Some(ip) => IpAddr::V4(ip),
            None => str::from_utf8(text).ok()?.parse().ok()?,
        };
        Some(Address::from(ip))
    }

    /// The address as the standard library has it, mapped ones as IPv4.
    pub fn ip(self) -> IpAddr {
        let bits = u128::from(self.high).rotate_left(64) | u128::from(self.low);
        Ipv6Addr::from_bits(bits).to_canonical()
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        let octets = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Address {
            high: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            low: u64::from_be_bytes([i, j, k, l, m, n, o, p]),
        }
    }
}

/// The common case, and the one that is met a million times a scan: `d.d.d.d`, each part 0 to 255
/// without leading zeros, which is what the standard library takes as well.
fn dotted_quad(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut octet, mut digits, mut dots) = (0u32, 0u32, 0u32, 0u32);
    for &byte in text {
        if byte == b'.' {
            address = address << 8 | finished(octet, digits)?;
            (octet, digits) = (0, 0);
            dots = dots.wrapping_add(1);
        } else {
            let digit = byte.wrapping_sub(b'0');
            // A fourth digit, or one behind a zero, can only make the octet too large or too long.
            if digit > 9 || digits > 2 {
                return None;
            }
            octet = octet.wrapping_mul(10).wrapping_add(u32::from(digit));
            digits = digits.wrapping_add(1);
        }
    }
    (dots == 3).then_some(())?;
    Some(Ipv4Addr::from_bits(address << 8 | finished(octet, digits)?))
}

/// An octet by its value, if it is one that is written with so many digits.
fn finished(octet: u32, digits: u32) -> Option<u32> {
    let is_octet = match digits {
        1 => true,
        2 => octet > 9,
        3 => matches!(octet, 100..=255),
        _ => false,
    };
    is_octet.then_some(octet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Address::parse(text.as_bytes()).map(Address::ip)
    }

    #[test]
    fn spellings_of_one_address_are_one_address() {
        for (one, other) in [
            ("2001:db8::1", "2001:DB8:0:0::0001"),
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("::ffff:c000:201", "192.0.2.1"),
        ] {
            assert_eq!(Address::parse(one.as_bytes()), Address::parse(other.as_bytes()), "{one}");
        }
        assert_ne!(Address::parse(b"192.0.2.1"), Address::parse(b"::192.0.2.1"));
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in [
            "",
            "localhost",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "01.2.3.4",
            "1..2.3",
            "+1.2.3.4",
            "1.2.3.4 ",
            "127.1",
            "fe80::1%em0",
            "[::1]",
            "::1/64",
            "mail.example",
            "1.2.3.4\0",
        ] {
            assert_eq!(ip(text), None, "{text}");
        }
        assert_eq!(Address::parse(b"1.2.3.\xb4"), None);
    }

    proptest! {
        /// The standard library is the judge of the hand-written part.
        #[test]
        fn quads_are_taken_as_the_standard_library_takes_them(text in "[0-9]{0,4}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{0,3}\\.?") {
            prop_assert_eq!(ip(&text), text.parse::<IpAddr>().ok());
        }

        #[test]
        fn every_address_survives(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert_eq!(ip(&address.to_string()), Some(address.to_canonical()));
        }
    }
}

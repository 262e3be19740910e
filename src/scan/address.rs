//! The address of a host as a number, so that hosts do not differ by the spelling of their address.
//!
//! In: text from a record's key. Out: two words. spamd(8) writes what getnameinfo(3) returns, but WHITE and
//! TRAPPED records may be typed by hand: `2001:DB8::1` and `2001:db8::1` are the same host, and so are
//! `192.0.2.1` and `::ffff:192.0.2.1`. Treating two spellings as one host can only spare it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest address as text.
const LONGEST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();

/// An IPv4 or IPv6 address; IPv4 in the mapped form of RFC 4291, 2.5.5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    /// The leading 64 bits.
    pub high: u64,
    /// The others.
    pub low: u64,
}

impl Address {
    /// The address at the beginning of a record's key, up to the first newline or the end. `None` for
    /// anything else, including scoped addresses: such a host could not be trapped.
    pub fn of_key(key: &[u8]) -> Option<Address> {
        Address::of_text(key.split(|&byte| byte == b'\n').next()?)
    }

    /// Parses an address.
    pub fn of_text(text: &[u8]) -> Option<Address> {
        if let Some(ip) = dotted_quad(text) {
            return Some(Address::from(IpAddr::V4(ip)));
        }
        let text = Some(text).filter(|text| text.len() <= LONGEST)?;
        let ip: IpAddr = str::from_utf8(text).ok()?.parse().ok()?;
        Some(Address::from(ip))
    }

    /// The address in the standard library's type; a mapped address becomes IPv4.
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

/// The common case, which occurs a million times in a scan: `d.d.d.d`, each part from 0 to 255 without
/// leading zeros. The standard library accepts the same.
fn dotted_quad(text: &[u8]) -> Option<Ipv4Addr> {
    let (a, rest) = octet(text)?;
    let (b, rest) = octet(rest.strip_prefix(b".")?)?;
    let (c, rest) = octet(rest.strip_prefix(b".")?)?;
    let (d, rest) = octet(rest.strip_prefix(b".")?)?;
    rest.is_empty().then_some(Ipv4Addr::new(a, b, c, d))
}

/// The number that `text` begins with, and what follows it.
fn octet(text: &[u8]) -> Option<(u8, &[u8])> {
    let value = |digit: u8| u16::from(digit.wrapping_sub(b'0'));
    let (number, rest) = match text {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let tens = value(*a).wrapping_mul(10).wrapping_add(value(*b));
            (tens.wrapping_mul(10).wrapping_add(value(*c)), rest)
        }
        [a @ b'1'..=b'9', b @ b'0'..=b'9', rest @ ..] => {
            (value(*a).wrapping_mul(10).wrapping_add(value(*b)), rest)
        }
        [a @ b'0'..=b'9', rest @ ..] => (value(*a), rest),
        _ => return None,
    };
    Some((u8::try_from(number).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Address::of_key(text.as_bytes()).map(Address::ip)
    }

    #[test]
    fn spellings_of_one_address_are_one_address() {
        for (one, other) in [
            ("2001:db8::1", "2001:DB8:0:0::0001"),
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("::ffff:c000:201", "192.0.2.1"),
        ] {
            assert_eq!(Address::of_key(one.as_bytes()), Address::of_key(other.as_bytes()), "{one}");
        }
        assert_ne!(Address::of_key(b"192.0.2.1"), Address::of_key(b"::192.0.2.1"));
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
        assert_eq!(Address::of_key(b"1.2.3.\xb4"), None);
        assert_eq!(Address::of_key(b"\n1.2.3.4"), None);
    }

    #[test]
    fn a_key_is_read_up_to_its_first_newline() {
        for text in ["1.2.3.4", "255.255.255.255", "2001:db8::1"] {
            assert_eq!(ip(&format!("{text}\n5\n6\n7")), text.parse().ok());
        }
    }

    proptest! {
        /// Compares the hand-written part with the standard library.
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

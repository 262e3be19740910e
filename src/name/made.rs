//! Names that access networks make of the addresses of their lines, such as `203-0-113-7.dsl.example`.
//!
//! Such a name leads back to its address by itself, so it tells nothing about who uses the line. Providers
//! of mail number their hosts in the same way, but say that they send mail (`mail-203-0-113-7.example`).
//! Source: none; measured in real mail. Strangers chose the names.

use std::net::IpAddr;

/// The beginnings of words by which a name says that its host sends mail.
const MAIL_WORDS: [&[u8]; 12] = [
    b"mail", b"smtp", b"mx", b"mta", b"out", b"send", b"relay", b"mout", b"email", b"news",
    b"bounce", b"esp",
];

/// How much of an address a name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Less than the following.
    Little,
    /// Three of the four octets of an IPv4 address.
    Three,
    /// All four octets or the eight hexadecimal digits of an IPv4 address; the last 64 bits of an IPv6
    /// address in hexadecimal.
    All,
}

/// How much of `address` the name holds, anywhere in it.
///
/// Octets are whole decimal numbers in any order, with or without leading zeros; one that occurs twice in
/// the address must occur twice in the name. The 16 hexadecimal digits of an IPv6 address may be divided by
/// hyphens.
pub fn holds_address(name: &[u8], address: IpAddr) -> Held {
    match address.to_canonical() {
        IpAddr::V4(v4) if contains(name, &hexadecimal::<8>(v4.to_bits().into())) => Held::All,
        IpAddr::V4(v4) => match octets_in(name, v4.octets()) {
            4.. => Held::All,
            3 => Held::Three,
            _ => Held::Little,
        },
        IpAddr::V6(v6) => {
            #[allow(clippy::cast_possible_truncation)] // The last 64 bits.
            let digits = hexadecimal::<16>(v6.to_bits() as u64);
            let is_held = name.split(|byte| *byte == b'.').any(|label| {
                let joined: Vec<u8> = label.iter().copied().filter(|byte| *byte != b'-').collect();
                contains(&joined, &digits)
            });
            if is_held { Held::All } else { Held::Little }
        }
    }
}

/// Whether a part of a label before the last one begins with a word of mail service, such as `mx` or
/// `out`: no letter is before the word.
pub fn has_mail_word(name: &[u8]) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let Some(before) = memchr::memrchr(b'.', name).and_then(|dot| name.get(..dot)) else {
        return false;
    };
    let mut letter_before = false;
    (0..before.len()).any(|at| {
        let rest = before.get(at..).unwrap_or_default();
        let is_start = !letter_before;
        letter_before = rest.first().is_some_and(u8::is_ascii_alphabetic);
        is_start && letter_before && MAIL_WORDS.iter().any(|word| begins_with(rest, word))
    })
}

/// Whether the name is that of an access network's line: it holds all of the host's own address, and no
/// word of mail service. It confirms nobody.
pub fn is_of_line(name: &[u8], address: IpAddr) -> bool {
    holds_address(name, address) == Held::All && !has_mail_word(name)
}

/// A fast check that is false for most names that are not of a line.
pub fn may_be_of_line(name: &[u8], address: IpAddr) -> bool {
    let digits = || name.iter().filter(|byte| byte.is_ascii_digit()).count();
    address.is_ipv6() || digits() >= 4 || has_hexadecimal(name, 8)
}

/// Whether `name` has so many hexadecimal digits in a row.
fn has_hexadecimal(name: &[u8], digits: usize) -> bool {
    let is_digit = |at: &usize| name.get(*at).is_some_and(u8::is_ascii_hexdigit);
    // Each such row has a digit at one of these places.
    let mut places = (digits.saturating_sub(1)..name.len()).step_by(digits).filter(is_digit);
    places.any(|place| {
        let before = (0..place).rev().take_while(is_digit).count();
        let after = (place..name.len()).take_while(is_digit).count();
        before.saturating_add(after) >= digits
    })
}

/// The number of these octets that the name has as whole numbers.
fn octets_in(name: &[u8], octets: [u8; 4]) -> usize {
    let mut missing = octets.map(Some);
    for run in name.split(|byte| !byte.is_ascii_digit()).filter(|run| !run.is_empty()) {
        let number = octet(run);
        let found = missing.iter_mut().find(|octet| octet.is_some() && **octet == number);
        found.into_iter().for_each(|octet| *octet = None);
    }
    missing.iter().filter(|octet| octet.is_none()).count()
}

/// The value of decimal digits, if it is an octet.
fn octet(digits: &[u8]) -> Option<u8> {
    digits
        .iter()
        .try_fold(0u8, |value, digit| value.checked_mul(10)?.checked_add(digit.wrapping_sub(b'0')))
}

/// The last `DIGITS` hexadecimal digits of a number, in lower case.
fn hexadecimal<const DIGITS: usize>(mut number: u64) -> [u8; DIGITS] {
    let mut digits = [0; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = *b"0123456789abcdef".get((number & 15) as usize).unwrap_or(&b'0');
        number >>= 4;
    }
    digits
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

fn begins_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held(name: &str, address: &str) -> Held {
        holds_address(name.as_bytes(), address.parse().unwrap())
    }

    use Held::{All, Little, Three};

    /// Forms in which access networks name their lines, with other domains and addresses.
    #[test]
    fn forms_of_access_networks() {
        for (name, address, wanted, what) in [
            ("203-0-113-7.dsl.example", "203.0.113.7", All, "hyphens"),
            ("203.0.113.7.dsl.example", "203.0.113.7", All, "dots"),
            ("7.113.0.203.dsl.example", "203.0.113.7", All, "backwards"),
            ("203-113-0-7.x.example", "203.0.113.7", All, "any order"),
            ("7-113.0-203.pool.example", "203.0.113.7", All, "over two labels"),
            ("host203_0_113_7.example", "203.0.113.7", All, "after letters"),
            ("ip7x113y0z203.example", "203.0.113.7", All, "between letters"),
            ("203-000-113-007.example", "203.0.113.7", All, "leading zeros"),
            ("dsl-203-0-113-7-static.example", "203.0.113.7", All, "in the middle"),
            ("h7.113.0.203.in.example", "203.0.113.7", All, "letters before"),
            ("mail-203-0-113-7.example", "203.0.113.7", All, "whatever else it says"),
            ("cb007107.dsl.example", "203.0.113.7", All, "hexadecimal"),
            ("pCB007107.dip0.example", "203.0.113.7", All, "hexadecimal in capitals"),
            ("ip-cb007107-x.example", "203.0.113.7", All, "hexadecimal in the middle"),
            ("113-7.b203.example", "203.0.113.7", Three, "three octets"),
            ("0-113-7.x.example", "203.0.113.7", Three, "three others"),
            ("203-0-113.x.example", "203.0.113.7", Three, "its /24"),
            ("203-0-113-8.x.example", "203.0.113.7", Three, "another line of its network"),
            ("203-7.x.example", "203.0.113.7", Little, "two octets"),
            ("203-0-1137.x.example", "203.0.113.7", Little, "no whole number"),
            ("2030113007.x.example", "203.0.113.7", Little, "run together"),
            ("203000113007.x.example", "203.0.113.7", Little, "run together, padded"),
            ("0xcb-0x00-0x71-0x07.x.example", "203.0.113.7", Little, "base 16, divided"),
            (
                "0313-0-0161-07.x.example",
                "203.0.113.7",
                Little,
                "base 8: only 0 and 7 are the same",
            ),
            ("cb00710.x.example", "203.0.113.7", Little, "seven digits"),
            ("071007cb.x.example", "203.0.113.7", Little, "digits in another order"),
            ("198-51-100-1.x.example", "203.0.113.7", Little, "another address"),
            ("10-0-0-7.x.example", "10.0.0.7", All, "a repeated octet, as often"),
            ("10-0-7.x.example", "10.0.0.7", Three, "a repeated octet, once"),
            ("192-192-192-192.x.example", "192.192.192.192", All, "four times"),
            ("192-192-192.x.example", "192.192.192.192", Three, "three times"),
            ("1-2-3-4-5-6-7-8.x.example", "6.8.2.4", All, "among other numbers"),
            ("99999999999999999999.1.2.3.x.example", "9.1.2.3", Three, "a large number"),
            ("mx1.example", "1.1.1.1", Little, "one number is one octet"),
            ("mail.example", "203.0.113.7", Little, "none"),
            ("", "203.0.113.7", Little, "nothing"),
            (
                "\u{662}\u{660}\u{663}-0-113-7.example",
                "203.0.113.7",
                Three,
                "other digits are none",
            ),
            ("xn--203-0-113-7-abc.example", "203.0.113.7", All, "an A-label"),
            ("203-0-113-7.x.example", "::ffff:203.0.113.7", All, "a mapped address"),
            (
                "20010db8000000000a1b2c3d4e5f6071.x.example",
                "2001:db8::a1b:2c3d:4e5f:6071",
                All,
                "IPv6",
            ),
            ("0A1B2C3D4E5F6071.x.example", "2001:db8::a1b:2c3d:4e5f:6071", All, "its interface"),
            (
                "2001-db8-0-0-0a1b-2c3d-4e5f-6071.x.example",
                "2001:db8::a1b:2c3d:4e5f:6071",
                All,
                "hyphens",
            ),
            ("0a1b2c3d.4e5f6071.x.example", "2001:db8::a1b:2c3d:4e5f:6071", Little, "two labels"),
            ("20010db800000000.x.example", "2001:db8::a1b:2c3d:4e5f:6071", Little, "its network"),
            ("0000000000000001.x.example", "2001:db8::1", All, "mostly zeros"),
            ("1.x.example", "2001:db8::1", Little, "one number"),
        ] {
            assert_eq!(held(name, address), wanted, "{what}: {name} {address}");
            let may_hold = may_be_of_line(name.as_bytes(), address.parse().unwrap());
            assert!(wanted != All || may_hold, "{name}");
        }
    }

    #[test]
    fn words_of_mail_service() {
        for (name, wanted, what) in [
            ("mail-203-0-113-7.example", true, "mail"),
            ("mail203-0-113-7.example", true, "before a number"),
            ("203-0-113-7.mail.example", true, "a label of its own"),
            ("MAIL-203-0-113-7.example", true, "in capitals"),
            ("203-0-113-7-smtp.example", true, "after a hyphen"),
            ("7mx.example", true, "after a digit"),
            ("a_relay.example", true, "after an underscore"),
            ("outbound-203-0-113-7.example", true, "the beginning of a word"),
            ("sender1.example", true, "send"),
            ("mta-7.example", true, "mta"),
            ("mout-7.example", true, "mout"),
            ("email7.example", true, "email"),
            ("newsletter.example", true, "news"),
            ("bounces.example", true, "bounce"),
            ("esp-7.example", true, "esp"),
            ("a.b.mx.c.example", true, "in any label but the last"),
            ("webmail-7.example", false, "after a letter"),
            ("hotmail.example", false, "after a letter"),
            ("layout.example", false, "out after a letter"),
            ("203-0-113-7.dsl.example", false, "none"),
            ("203-0-113-7.dsl.mail", false, "the last label"),
            ("203-0-113-7.dsl.news.", false, "the last label before a dot"),
            ("mail", false, "the only label"),
            ("", false, "nothing"),
            ("ma-il.example", false, "in two parts"),
        ] {
            assert_eq!(has_mail_word(name.as_bytes()), wanted, "{what}: {name}");
        }
    }

    #[test]
    fn lines_are_those_that_serve_no_mail() {
        let address = IpAddr::from([203, 0, 113, 7]);
        for (name, wanted) in [
            ("203-0-113-7.dsl.example", true),
            ("mail-203-0-113-7.example", false),
            ("113-7.dsl.example", false),
            ("mail.example", false),
        ] {
            assert_eq!(is_of_line(name.as_bytes(), address), wanted, "{name}");
        }
    }

    proptest! {
        /// Against the definition: the octets, sorted, are among the numbers.
        #[test]
        fn a_name_of_the_octets_holds_them(octets: [u8; 4], order in 0usize..4, zeros in 0usize..3) {
            let mut parts: Vec<_> = octets.iter().map(|n| format!("{}{n}", "0".repeat(zeros))).collect();
            parts.rotate_left(order);
            let name = format!("h{}.example", parts.join("-"));
            prop_assert_eq!(holds_address(name.as_bytes(), IpAddr::from(octets)), All);
            parts.pop();
            let name = format!("h{}.example", parts.join("-"));
            prop_assert_eq!(holds_address(name.as_bytes(), IpAddr::from(octets)), Three);
        }

        #[test]
        fn the_fast_check_misses_none(name in "[a-f0-9xz.-]{0,40}", address: [u8; 4]) {
            let name = format!("{name}{:02x}{:02x}{:02x}{:02x}.x", address[0], address[1], address[2], address[3]);
            let address = address.into();
            prop_assert!(may_be_of_line(name.as_bytes(), address));
        }

        #[test]
        fn no_bytes_disturb_it(bytes: Vec<u8>, v4: [u8; 4], v6: [u8; 16]) {
            holds_address(&bytes, v4.into());
            holds_address(&bytes, v6.into());
            has_mail_word(&bytes);
        }
    }
}

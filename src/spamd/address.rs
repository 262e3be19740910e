//! An IP address as the text that is a key of spamd's database.
//!
//! The key of spamd's WHITE and TRAPPED records is the host's address as getnameinfo(3) prints it, that of
//! spamdb's the address as it was typed; neither is normalized. So [`Address`] keeps the text, and knows
//! the other [`spellings`](Address::spellings) under which a record of the same host may be stored.
//!
//! Parsing is stricter than getaddrinfo(3) with `AI_NUMERICHOST`, which spamdb uses: short and octal forms
//! (`127.1`, `0177.0.0.1`) and scopes (`fe80::1%em0`) are refused, since spamd's tuples never have them,
//! and a trap under such a key would trap no host.
#![forbid(unsafe_code)]

use crate::escape::escaped;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An IP address and the text that spamd knows it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Box<str>", into = "Box<str>")]
pub struct Address {
    text: Box<str>,
    ip: IpAddr,
}

/// A text that is not an IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddress(Box<[u8]>);

impl Address {
    /// Parses an address: a dotted quad, or one of the forms in RFC 4291, 2.2.
    pub fn parse(text: &[u8]) -> Result<Address, InvalidAddress> {
        let parsed = str::from_utf8(text).ok().and_then(|text| Some((text, text.parse().ok()?)));
        match parsed {
            Some((text, ip)) => Ok(Address { text: text.into(), ip: IpAddr::to_canonical(&ip) }),
            None => Err(InvalidAddress(text.into())),
        }
    }

    /// The key of its records: the text as it was given.
    pub fn key(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The address itself; an IPv4-mapped address (RFC 4291, 2.5.5.2) becomes IPv4.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The same address as spamd would write it, by getnameinfo(3) (RFC 5952).
    pub fn canonical(&self) -> Address {
        Address::from(self.ip)
    }

    /// The keys under which a record of this host may be stored, each once, beginning with the text as
    /// given: as spamd writes it, and as people type it into spamdb(8), with or without zeros, in either
    /// case.
    pub fn spellings(&self) -> Vec<Address> {
        let mut texts = vec![self.text.clone()];
        match self.ip {
            IpAddr::V4(four) => {
                let [a, b, c, d] = four.octets().map(u16::from);
                let hex = format!("::ffff:{:x}:{:x}", a << 8 | b, c << 8 | d);
                let mapped = format!("::ffff:{four}");
                let upper = [&hex, &mapped].map(|text| text.to_ascii_uppercase());
                let all = [vec![four.to_string(), mapped, hex], upper.to_vec()].concat();
                texts.extend(all.into_iter().map(Into::into));
            }
            IpAddr::V6(six) => texts.extend(forms(six).into_iter().map(Into::into)),
        }
        let mut seen = HashSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        texts.into_iter().filter_map(|text| text.try_into().ok()).collect()
    }
}

/// As spamd would write it.
impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        let ip = ip.to_canonical();
        Address { text: ip.to_string().into(), ip }
    }
}

impl TryFrom<Box<str>> for Address {
    type Error = InvalidAddress;

    fn try_from(text: Box<str>) -> Result<Address, InvalidAddress> {
        Address::parse(text.as_bytes())
    }
}

impl From<Address> for Box<str> {
    fn from(address: Address) -> Box<str> {
        address.text
    }
}

/// The forms of RFC 4291, 2.2.
fn forms(six: Ipv6Addr) -> Vec<String> {
    let mut forms = vec![six.to_string()];
    for width in [1, 4] {
        let groups: Vec<_> =
            six.segments().iter().map(|group| format!("{group:0width$x}")).collect();
        forms.push(groups.join(":"));
        for (start, end) in zeros(six) {
            let (before, after) = (groups.get(..start), groups.get(end..));
            let [before, after] = [before, after].map(|part| part.unwrap_or_default().join(":"));
            forms.push(format!("{before}::{after}"));
        }
    }
    let upper: Vec<_> = forms.iter().map(|form| form.to_ascii_uppercase()).collect();
    forms.extend(upper);
    forms
}

/// The runs of zero groups that two colons may stand for, each with its beginning and end.
fn zeros(six: Ipv6Addr) -> Vec<(usize, usize)> {
    let groups = six.segments();
    let is_zero = |start: usize, end: usize| {
        groups.get(start..end).is_some_and(|run| run.iter().all(|group| *group == 0))
    };
    let runs =
        (0..groups.len()).flat_map(|start| (start + 1..=groups.len()).map(move |end| (start, end)));
    runs.filter(|(start, end)| is_zero(*start, *end)).collect()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid ip address \"{}\"", escaped(&self.0))
    }
}

impl std::error::Error for InvalidAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_stays_as_given() {
        for text in ["192.0.2.1", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "::ffff:192.0.2.1"] {
            let address = Address::parse(text.as_bytes()).unwrap();
            assert_eq!(address.key(), text.as_bytes());
            assert_eq!(address.to_string(), text);
        }
        let [upper, lower] = [b"2001:DB8::1", b"2001:db8::1"].map(|a| Address::parse(a).unwrap());
        assert_eq!(upper.ip(), lower.ip());
        assert_ne!(upper, lower);
    }

    #[test]
    fn spellings_of_one_address_know_each_other() {
        let texts = [
            "2001:db8::7",
            "2001:DB8::7",
            "2001:db8:0:0:0:0:0:7",
            "2001:db8::0:7",
            "2001:DB8:0::7",
            "2001:db8:0:0::0:7",
            "2001:0db8:0000:0000:0000:0000:0000:0007",
            "2001:0DB8::0007",
        ];
        let addresses = texts.map(|text| Address::parse(text.as_bytes()).unwrap());
        for one in &addresses {
            assert_eq!(one.canonical().key(), b"2001:db8::7");
            let spellings = one.spellings();
            assert_eq!(spellings[0], *one);
            assert!(spellings.len() < 200 && spellings.iter().all(|other| other.ip() == one.ip()));
            for other in &addresses {
                assert!(spellings.contains(other), "{other} of {one}");
            }
        }
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_ipv6() {
        for text in ["192.0.2.6", "::ffff:192.0.2.6", "::FFFF:c000:206", "0:0:0:0:0:ffff:192.0.2.6"]
        {
            let address = Address::parse(text.as_bytes()).unwrap();
            assert_eq!(address.canonical().key(), b"192.0.2.6", "{text}");
            for other in ["192.0.2.6", "::ffff:192.0.2.6", "::FFFF:192.0.2.6", "::ffff:c000:206"] {
                let other = Address::parse(other.as_bytes()).unwrap();
                assert!(address.spellings().contains(&other), "{other} of {text}");
            }
        }
        let zero = Address::parse(b"::").unwrap().spellings();
        assert!(zero.contains(&Address::parse(b"0:0:0:0:0:0:0:0").unwrap()));
    }

    #[test]
    fn what_is_no_full_address_is_refused() {
        let bad: [&[u8]; 15] = [
            b"",
            b"x",
            b"127.1",
            b"0177.0.0.1",
            b"192.0.2.01",
            b"192.0.2.256",
            b"192.0.2.1.",
            b" 192.0.2.1",
            b"192.0.2.1\n",
            b"192.0.2.1\0",
            b"192.0.2.0/24",
            b"fe80::1%em0",
            b"[2001:db8::1]",
            b"2001:db8:::1",
            b"192.0.2.1\xff",
        ];
        for text in bad {
            assert_eq!(Address::parse(text), Err(InvalidAddress(text.into())), "{text:?}");
        }
    }

    #[test]
    fn the_message_shows_what_was_typed_and_nothing_more() {
        let error = Address::parse(b"1.2.3\x1b[2J").unwrap_err();
        assert_eq!(error.to_string(), "invalid ip address \"1.2.3\\033[2J\"");
    }
}

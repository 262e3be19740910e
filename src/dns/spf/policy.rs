//! Policies: the text of an SPF record (RFC 7208 4.6 and 12), parsed.
//!
//! The text comes from strangers. All of it must be right: a wrong term anywhere makes it void, as RFC
//! 7208 4.6 demands.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::SpfResult;
use super::fault::Fault;
use super::macros::{Place, Spec};
use crate::dns::text::{MAX_TEXT, is_policy};

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Policy {
    /// The mechanisms, in order.
    pub directives: Vec<Directive>,
    /// `redirect`: the domain whose policy counts if no mechanism matches.
    pub redirect: Option<Spec>,
    /// `exp`: where the explanation of a fail is.
    pub explanation: Option<Spec>,
}

/// A mechanism and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// What a match means.
    pub result: SpfResult,
    /// What matches.
    pub mechanism: Mechanism,
    /// The mechanism as written, without its qualifier.
    pub text: String,
}

/// What a host is compared with (RFC 7208 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Every host.
    All,
    /// Hosts that pass the policy of this domain.
    Include(Spec),
    /// Hosts near the addresses of this name.
    A(Target),
    /// Hosts near the addresses of this domain's MX.
    Mx(Target),
    /// Hosts whose name is below this one.
    Ptr(Option<Spec>),
    /// Hosts in this network.
    Ip(Network),
    /// All hosts, if this name has an IPv4 address.
    Exists(Spec),
}

/// A name, by default the domain itself, and the lengths of prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name.
    pub name: Option<Spec>,
    /// For IPv4.
    pub prefix4: u8,
    /// For IPv6.
    pub prefix6: u8,
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address in it.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
}

impl Target {
    /// The length of the prefix for hosts with such an address.
    pub fn prefix(&self, address: IpAddr) -> u8 {
        if address.is_ipv4() { self.prefix4 } else { self.prefix6 }
    }
}

impl Network {
    /// Whether it has this address.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let bits = own.to_bits() ^ other.to_bits();
                bits.leading_zeros() >= self.prefix.into()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let bits = own.to_bits() ^ other.to_bits();
                bits.leading_zeros() >= self.prefix.into()
            }
            _ => false,
        }
    }
}

impl Policy {
    /// Parses the text of a record.
    ///
    /// # Errors
    /// Something in it is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        if text.len() > MAX_TEXT {
            return Err(Fault::Long);
        }
        let terms = text.get(6..).filter(|_| is_policy(text)).ok_or(Fault::Mechanism)?;
        let mut policy = Self::default();
        for term in terms.split(|byte| *byte == b' ').filter(|term| !term.is_empty()) {
            policy.add(term)?;
        }
        Ok(policy)
    }

    fn add(&mut self, term: &[u8]) -> Result<(), Fault> {
        if !term.iter().all(u8::is_ascii_graphic) {
            return Err(Fault::Character);
        }
        let Some((name, value)) = modifier(term) else {
            self.directives.push(directive(term)?);
            return Ok(());
        };
        let place = match name.to_ascii_lowercase().as_slice() {
            b"redirect" => &mut self.redirect,
            b"exp" => &mut self.explanation,
            _ => return Spec::parse(value, Place::Modifier).map(drop),
        };
        match place.replace(Spec::name(value)?) {
            None => Ok(()),
            Some(_) => Err(Fault::Twice),
        }
    }
}

/// The name and the value of a modifier: a name and `=`, before any `:` or `/` (RFC 7208 4.6.1).
fn modifier(term: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let length = term.iter().position(|byte| !is_name(byte))?;
    let (name, rest) = term.split_at_checked(length)?;
    let value = rest.strip_prefix(b"=")?;
    name.first()?.is_ascii_alphabetic().then_some((name, value))
}

fn directive(term: &[u8]) -> Result<Directive, Fault> {
    let (result, rest) = match term {
        [b'+', rest @ ..] => (SpfResult::Pass, rest),
        [b'-', rest @ ..] => (SpfResult::Fail, rest),
        [b'~', rest @ ..] => (SpfResult::SoftFail, rest),
        [b'?', rest @ ..] => (SpfResult::Neutral, rest),
        rest => (SpfResult::Pass, rest),
    };
    let text = String::from_utf8_lossy(rest).into_owned();
    Ok(Directive { result, mechanism: mechanism(rest)?, text })
}

fn mechanism(text: &[u8]) -> Result<Mechanism, Fault> {
    let length = text.iter().position(|byte| matches!(byte, b':' | b'/')).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(length).unwrap_or_default();
    let argument = || rest.strip_prefix(b":").ok_or(Fault::Argument);
    Ok(match name.to_ascii_lowercase().as_slice() {
        b"all" if rest.is_empty() => Mechanism::All,
        b"all" => return Err(Fault::Argument),
        b"include" => Mechanism::Include(Spec::name(argument()?)?),
        b"a" => Mechanism::A(target(rest)?),
        b"mx" => Mechanism::Mx(target(rest)?),
        b"ptr" if rest.is_empty() => Mechanism::Ptr(None),
        b"ptr" => Mechanism::Ptr(Some(Spec::name(argument()?)?)),
        b"ip4" => Mechanism::Ip(network4(argument()?)?),
        b"ip6" => Mechanism::Ip(network6(argument()?)?),
        b"exists" => Mechanism::Exists(Spec::name(argument()?)?),
        _ => return Err(Fault::Mechanism),
    })
}

/// `[:name][/prefix4][//prefix6]`. A name may have slashes, so the lengths are looked for at the end.
fn target(text: &[u8]) -> Result<Target, Fault> {
    let (text, prefix6) = match number_at_end(text) {
        Some((before, digits)) if before.ends_with(b"/") => {
            (before.strip_suffix(b"/").unwrap_or(before), prefix(digits, 128)?)
        }
        _ => (text, 128),
    };
    let (text, prefix4) = match number_at_end(text) {
        Some((before, digits)) => (before, prefix(digits, 32)?),
        None => (text, 32),
    };
    let name = match text {
        [] => None,
        [b':', name @ ..] => Some(Spec::name(name)?),
        _ => return Err(Fault::Argument),
    };
    Ok(Target { name, prefix4, prefix6 })
}

/// What is before a slash and digits at the end, and the digits.
fn number_at_end(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, number) = text.split_at_checked(text.len().checked_sub(digits)?)?;
    Some((before.strip_suffix(b"/").filter(|_| digits > 0)?, number))
}

/// Digits without a leading zero.
fn prefix(digits: &[u8], most: u8) -> Result<u8, Fault> {
    let number = match digits {
        [b'0', _, ..] => None,
        digits => str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()),
    };
    number.filter(|number| *number <= most).ok_or(Fault::Prefix)
}

fn network4(text: &[u8]) -> Result<Network, Fault> {
    let (address, prefix) = network(text, 32)?;
    let address: Ipv4Addr = address.parse().map_err(|_| Fault::Address)?;
    Ok(Network { address: address.into(), prefix })
}

fn network6(text: &[u8]) -> Result<Network, Fault> {
    let (address, prefix) = network(text, 128)?;
    let address: Ipv6Addr = address.parse().map_err(|_| Fault::Address)?;
    Ok(Network { address: address.into(), prefix })
}

/// An address and the length of its prefix.
fn network(text: &[u8], most: u8) -> Result<(&str, u8), Fault> {
    let mut parts = text.splitn(2, |byte| *byte == b'/');
    let address = parts.next().and_then(|address| str::from_utf8(address).ok());
    let prefix = match parts.next() {
        None => most,
        Some([]) => return Err(Fault::Prefix),
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => prefix(digits, most)?,
        Some(_) => return Err(Fault::Prefix),
    };
    Ok((address.ok_or(Fault::Address)?, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(terms: &str) -> Option<Fault> {
        Policy::parse(format!("v=spf1 {terms}").as_bytes()).err()
    }

    /// RFC 7208 12, and appendix A's examples.
    #[test]
    fn good_policies() {
        for terms in [
            "",
            "+all",
            "a -all",
            "a:example.org -all",
            "mx -all",
            "mx:example.org -all",
            "mx mx:example.org -all",
            "mx/30 mx:example.org/30 -all",
            "ptr -all",
            "ip4:192.0.2.128/28 -all",
            "ip4:192.0.2.0/0 ip6:2001:db8::/32 ip6:::1",
            "include:example.com include:example.org -all",
            "redirect=_spf.example.com",
            "mx -all exp=explain._spf.%{d}",
            "exists:%{ir}.%{l1r+-}._spf.%{d} -all",
            "A MX Ptr:Example.COM IP4:192.0.2.1 -ALL",
            "a/24//64 a//64 a:%{d}/24//64 a:a/b.example/8 mx//0",
            "moo.cow-far_out=man:dog/cat",
            "default= x=%{d} ra=%%",
        ] {
            assert_eq!(fault(terms), None, "{terms}");
        }
    }

    #[test]
    fn faults_are_found_anywhere() {
        for (terms, wanted) in [
            ("ip4:192.0.2.1 -all moo", Fault::Mechanism),
            ("-all.", Fault::Mechanism),
            ("=all", Fault::Mechanism),
            ("1up=foo", Fault::Mechanism),
            ("redirect:a.example", Fault::Mechanism),
            ("+-all", Fault::Mechanism),
            ("all:x", Fault::Argument),
            ("all/8", Fault::Argument),
            ("include", Fault::Argument),
            ("exists/24", Fault::Argument),
            ("ptr/0", Fault::Argument),
            ("a/24/16", Fault::Argument),
            ("a/24/64", Fault::Prefix),
            ("a:", Fault::Name),
            ("a:example.com:8080", Fault::Name),
            ("a:192.0.2.1", Fault::Name),
            ("include:a.example/24", Fault::Name),
            ("redirect=", Fault::Name),
            ("exp=-all", Fault::Name),
            ("a/33", Fault::Prefix),
            ("a/032", Fault::Prefix),
            ("mx//129", Fault::Prefix),
            ("ip4:192.0.2.1/33", Fault::Prefix),
            ("ip4:192.0.2.1//32", Fault::Prefix),
            ("ip4:192.0.2.1/", Fault::Prefix),
            ("ip6:::1/+9", Fault::Prefix),
            ("a/99999999999999999999", Fault::Prefix),
            ("ip4", Fault::Argument),
            ("ip4:192.0.2", Fault::Address),
            ("ip4:192.0.2.1:25", Fault::Address),
            ("ip4:192.0.2.01", Fault::Address),
            ("ip6::CAFE::BABE", Fault::Address),
            ("a:%{x}.example", Fault::Macro),
            ("x=%abc", Fault::Macro),
            ("redirect=a.example redirect=a.example", Fault::Twice),
            ("a\u{e9}", Fault::Character),
            ("a\tmx", Fault::Character),
            (&"a ".repeat(5000), Fault::Long),
        ] {
            assert_eq!(fault(terms), Some(wanted), "{terms}");
        }
    }

    #[test]
    fn a_slash_may_belong_to_the_name() {
        let policy = Policy::parse(b"v=spf1 ~a:a/24.example/16//48").unwrap();
        let name = Some(Spec::name(b"a/24.example").unwrap());
        let mechanism = Mechanism::A(Target { name, prefix4: 16, prefix6: 48 });
        let text = "a:a/24.example/16//48".into();
        let directive = Directive { result: SpfResult::SoftFail, mechanism, text };
        assert_eq!(policy.directives, [directive]);
    }

    #[test]
    fn networks() {
        for (network, prefix, address, wanted) in [
            ("192.0.2.0", 24, "192.0.2.255", true),
            ("192.0.2.0", 25, "192.0.2.128", false),
            ("192.0.2.1", 0, "203.0.113.1", true),
            ("192.0.2.1", 32, "192.0.2.1", true),
            ("192.0.2.1", 0, "2001:db8::1", false),
            ("2001:db8::", 33, "2001:db8:8000::", false),
            ("::", 0, "192.0.2.1", false),
        ] {
            let network = Network { address: network.parse().unwrap(), prefix };
            assert_eq!(network.contains(address.parse().unwrap()), wanted, "{network:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_disturb_it(text: Vec<u8>) {
            let _ = Policy::parse(&[b"v=spf1 ", text.as_slice()].concat());
            let _ = Policy::parse(&text);
        }

        #[test]
        fn nor_do_terms(terms in "([+~?-]?(all|a|mx|ip4|ip6|ptr|exists|include|redirect=)[:/=]?[ -~]{0,9} ?){0,5}") {
            let _ = fault(&terms);
        }
    }
}

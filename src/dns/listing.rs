//! Questions to DNS lists of addresses (RFC 5782). In: an address and the zone of a list. Out: what the list
//! answers about it.
//!
//! The administrator chooses the lists, strangers the addresses. What the answers mean is not known here;
//! [`Oddity`] says what makes a list unusable.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::answer::{Answer, Data};
use super::failure::Failure;
use super::name::Name;

/// What a list is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listing {
    /// The address.
    pub address: IpAddr,
    /// The name of the list.
    pub zone: String,
}

/// What a list answers about an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listed {
    /// These addresses.
    Answers(Vec<Ipv4Addr>),
    /// It is not listed.
    Nothing,
    /// The list is not usable: it is put aside.
    Aside,
    /// There is no definite answer.
    Unknown,
}

/// Why a list is put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// It lists an address that no list may have: it answers for everything.
    ListsAll(IpAddr),
    /// It does not list an address that every list has.
    LacksTest(IpAddr),
    /// It refuses to answer, with this address.
    Refuses(Ipv4Addr),
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Oddity::ListsAll(address) => write!(f, "it lists {address}, which no list may have"),
            Oddity::LacksTest(address) => {
                write!(f, "it does not list {address}, which every list has")
            }
            Oddity::Refuses(answer) => write!(f, "it refuses to answer ({answer})"),
        }
    }
}

impl Listing {
    /// The name that is asked about (RFC 5782, 2.1 and 2.4); `None` if it is too long.
    pub fn name(&self) -> Option<Name> {
        let labels = crate::name::reversed(self.address);
        Name::from_octets(format!("{labels}.{}", self.zone).as_bytes()).ok()
    }

    /// The test entries of the list for addresses of this family (RFC 5782, 5): one that it must not have,
    /// and one that it must.
    pub fn tests(&self) -> [Listing; 2] {
        [1, 2].map(|last| {
            let v4 = Ipv4Addr::new(127, 0, 0, last);
            let mapped: Ipv6Addr = v4.to_ipv6_mapped();
            let address = if self.address.is_ipv4() { v4.into() } else { mapped.into() };
            Listing { address, zone: self.zone.clone() }
        })
    }
}

impl Listed {
    /// What an answer to a question for A records says.
    pub fn of(answer: Result<&Answer, Failure>) -> Listed {
        match answer {
            Ok(Answer { data: Data::Addresses(list), .. }) => {
                let v4 = |address: &IpAddr| match address {
                    IpAddr::V4(v4) => Some(*v4),
                    IpAddr::V6(_) => None,
                };
                Listed::Answers(list.items.iter().filter_map(v4).collect())
            }
            Ok(answer) if answer.is_denial() => Listed::Nothing,
            _ => Listed::Unknown,
        }
    }

    /// The addresses that it answers.
    pub fn answers(&self) -> &[Ipv4Addr] {
        match self {
            Listed::Answers(answers) => answers,
            Listed::Nothing | Listed::Aside | Listed::Unknown => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(address: &str) -> Listing {
        Listing { address: address.parse().unwrap(), zone: "list.example".into() }
    }

    /// The examples of RFC 5782, 2.1 and 2.4, and its test entries, 5.
    #[test]
    fn names_as_in_the_standard() {
        let name = |listing: Listing| {
            let name = listing.name().unwrap();
            String::from_utf8(name.text()).unwrap()
        };
        assert_eq!(name(listing("192.0.2.99")), "99.2.0.192.list.example");
        assert_eq!(
            name(listing("2001:db8:1:2:3:4:567:89ab")),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.list.example"
        );
        let tests = |address| listing(address).tests().map(name);
        let v4 = ["1.0.0.127.list.example", "2.0.0.127.list.example"];
        assert_eq!(tests("192.0.2.99"), v4);
        let v6 = |last: u8| {
            let zeros = "0.".repeat(20);
            format!("{last}.0.0.0.0.0.f.7.f.f.f.f.{zeros}list.example")
        };
        assert_eq!(tests("2001:db8::1"), [v6(1), v6(2)]);
    }
}

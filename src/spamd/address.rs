//! An IP address as the text that is a key of spamd's database.
//!
//! spamd keys WHITE and TRAPPED records by the host's address as getnameinfo(3) prints it, spamdb by
//! what was typed; neither brings it into another form. Neither do we: [`Address`] keeps the text and
//! only makes sure that it is an address.
//!
//! Stricter than getaddrinfo(3) with `AI_NUMERICHOST`, which spamdb asks: short and octal forms
//! (`127.1`, `0177.0.0.1`) and scopes (`fe80::1%em0`) are refused, since no tuple of spamd has them
//! and a trap under such a key would catch nobody.
#![forbid(unsafe_code)]

use crate::escape::escaped;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// An IP address and the text that spamd knows it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Box<str>", into = "Box<str>")]
pub struct Address {
    text: Box<str>,
    ip: IpAddr,
}

/// A text that is no IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddress(Box<[u8]>);

impl Address {
    /// Takes `text` for an address if it is one: dotted quad, or the forms of RFC 4291 2.2.
    pub fn parse(text: &[u8]) -> Result<Address, InvalidAddress> {
        let parsed = str::from_utf8(text).ok().and_then(|text| Some((text, text.parse().ok()?)));
        match parsed {
            Some((text, ip)) => Ok(Address { text: text.into(), ip }),
            None => Err(InvalidAddress(text.into())),
        }
    }

    /// The key of its records: the text as it was given.
    pub fn key(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The address itself.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }
}

/// As spamd would write it.
impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
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

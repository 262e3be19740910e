//! DNS lists of addresses (RFC 5782), `ask list`: which are asked, and what their answers mean.
//!
//! Made by `check`. A list answers with an address in 127/8 about each host that is in it; which of these
//! answers count is the administrator's choice.

use super::Networks;
use super::value::string_text;
use crate::name;
use std::fmt;
use std::net::Ipv4Addr;

/// A DNS list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsList {
    /// The name below which addresses are asked about, in lower case.
    pub zone: String,
    /// The answers that count; all but 127.0.0.1 if there are none.
    pub answers: Networks,
    /// What it means that a host is listed.
    pub meaning: Meaning,
}

/// What it means that a host is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Meaning {
    /// It is a sign of spam.
    Sign,
    /// The host is spared.
    Spare,
}

impl Meaning {
    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Meaning::Sign => "sign",
            Meaning::Spare => "spare",
        }
    }
}

/// With a longer zone an IPv6 address in nibbles (64 octets) would not fit in a name (RFC 1035, 2.3.4).
const MAX_ZONE: usize = 180;

impl DnsList {
    /// The most lists that a configuration may have.
    pub const MOST: usize = 8;

    /// A zone: a host name with at least two labels, in lower case.
    pub fn zone(text: &str) -> Option<String> {
        let found = name::host_name(text.as_bytes())?;
        let is_whole = found.len() == text.len() && text.len() <= MAX_ZONE;
        (is_whole && text.contains('.')).then(|| text.to_ascii_lowercase())
    }

    /// Whether this answer means that the host is listed. Answers outside 127/8 never do, nor do
    /// [refusals](Self::is_refusal).
    pub fn counts(&self, answer: Ipv4Addr) -> bool {
        let is_answer = answer.is_loopback() && !Self::is_refusal(answer);
        let any = self.answers.is_empty() && answer != Ipv4Addr::LOCALHOST;
        is_answer && (any || self.answers.contains(answer.into()))
    }

    /// Whether this answer says that the list refuses to answer: large lists do so in 127.255.255/24.
    pub fn is_refusal(answer: Ipv4Addr) -> bool {
        answer.octets().starts_with(&[127, 255, 255])
    }
}

/// The statement.
impl fmt::Display for DnsList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ask list {}", string_text(&self.zone))?;
        let answers: Vec<_> = self.answers.iter().map(|network| network.to_string()).collect();
        if !answers.is_empty() {
            write!(f, " {{ {} }}", answers.join(", "))?;
        }
        write!(f, " as {}", self.meaning.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;

    #[test]
    fn answers_that_count() {
        let list = |answers: &[&str]| DnsList {
            zone: "list.example".into(),
            answers: Networks::new(answers.iter().map(|a| Network::parse(a).unwrap()).collect()),
            meaning: Meaning::Sign,
        };
        let (any, some) = (list(&[]), list(&["127.0.0.2", "127.0.1.0/24", "127.255.0.0/16"]));
        for (answer, is_any, is_some) in [
            ("127.0.0.2", true, true),
            ("127.0.0.3", true, false),
            ("127.0.1.255", true, true),
            ("127.0.0.1", false, false),
            ("127.255.255.254", false, false),
            ("127.255.254.254", true, true),
            ("192.0.2.1", false, false),
            ("126.255.255.255", false, false),
        ] {
            let answer = answer.parse().unwrap();
            assert_eq!((any.counts(answer), some.counts(answer)), (is_any, is_some), "{answer}");
        }
        let all = list(&["127.0.0.0/8"]);
        assert!(all.counts(Ipv4Addr::LOCALHOST) && !all.counts(Ipv4Addr::new(127, 255, 255, 1)));
    }

    #[test]
    fn zones() {
        assert_eq!(DnsList::zone("Zen.Example.net").as_deref(), Some("zen.example.net"));
        let long = format!("{}.example", "a.".repeat(90));
        for wrong in ["zen", "zen.example.net.", "", "192.0.2.1", "a b.example", &long] {
            assert_eq!(DnsList::zone(wrong), None, "{wrong}");
        }
    }
}

//! What the postmaster of a listed host reads: which rule, since when and until when, in plain words.
//!
//! The text never contains a recipient, a sender or anything else that somebody has sent.

use super::{Cause, Listed};
use crate::date::Date;
use crate::scan::Rule;
use std::fmt;

/// The maximum length of a link: with it a text still fits into one string of a TXT record (255 octets, RFC
/// 1035, 3.3).
const LONGEST: usize = 100;

/// A link to a page that explains the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(String);

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// It does not begin with `http://` or `https://`.
    Scheme,
    /// It is too long.
    Long,
    /// It contains a blank, a quote, or another character that no link has (RFC 3986, 2).
    Character,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::Scheme => f.write_str("does not begin with http:// or https://"),
            UrlError::Long => write!(f, "longer than {LONGEST} characters"),
            UrlError::Character => f.write_str("contains a character that no link has"),
        }
    }
}

impl std::error::Error for UrlError {}

impl Url {
    /// Checks a link.
    ///
    /// # Errors
    /// It is not one, or too long for a TXT record.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        if rest.is_none_or(str::is_empty) {
            return Err(UrlError::Scheme);
        }
        if text.len() > LONGEST {
            return Err(UrlError::Long);
        }
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte);
        if !text.bytes().all(is_allowed) {
            return Err(UrlError::Character);
        }
        Ok(Url(text.into()))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text about a host.
pub struct Words<'a>(pub &'a Listed, pub Option<&'a Url>);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Words(Listed { since, until, cause, .. }, url) = self;
        let (since, until) = (Date(*since), Date(*until));
        write!(f, "Deferred from {since} until {until}: {}", reason(*cause))?;
        url.map_or(Ok(()), |url| write!(f, ", see {url}"))
    }
}

/// The reason in words for the sender.
fn reason(cause: Cause) -> &'static str {
    let rule = match cause {
        Cause::Rule(rule) => rule,
        Cause::Hand => return "decision of the postmaster",
        Cause::Unknown => return "behaviour of a spam source",
    };
    match rule {
        Rule::Syntax => "mail from an impossible sender address",
        Rule::Domains => "mail from many sender domains at once",
        Rule::Senders => "a new sender address in nearly every message",
        Rule::Helo => "different names in HELO",
        Rule::Address => "an address or another host's name in HELO",
        Rule::Dynamic => "the default name of an access line in HELO",
        Rule::Stranger => "several signs of a spam source, and no name of its own",
        Rule::Crowd => "a name in HELO that hosts in many networks use",
        Rule::Rcpt => "mail to an address that only spam is sent to",
        Rule::Checker => "mail to an address that does not exist",
        Rule::Dns => "mail from a domain that cannot receive mail",
    }
}

/// The A record (RFC 5782, 2.1) that tells rules apart: 127.0.0.2 without a known rule. A rule keeps its number
/// forever.
pub fn value(cause: Cause) -> u8 {
    match cause {
        Cause::Unknown => 2,
        Cause::Hand => 3,
        Cause::Rule(Rule::Syntax) => 4,
        Cause::Rule(Rule::Domains) => 5,
        Cause::Rule(Rule::Senders) => 6,
        Cause::Rule(Rule::Helo) => 7,
        Cause::Rule(Rule::Rcpt) => 8,
        Cause::Rule(Rule::Checker) => 9,
        Cause::Rule(Rule::Dns) => 10,
        Cause::Rule(Rule::Address) => 11,
        Cause::Rule(Rule::Dynamic) => 12,
        Cause::Rule(Rule::Stranger) => 13,
        Cause::Rule(Rule::Crowd) => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::listed;
    use super::*;
    use std::collections::HashSet;

    fn causes() -> impl Iterator<Item = Cause> {
        Rule::ALL.into_iter().map(Cause::Rule).chain([Cause::Hand, Cause::Unknown])
    }

    #[test]
    fn rules_can_be_told_apart() {
        let values: HashSet<_> = causes().map(value).collect();
        assert_eq!(values.len(), Rule::ALL.len() + 2);
        // RFC 5782, 2.1 and 5: 127.0.0.1 is never a value.
        assert!(values.iter().all(|value| *value >= 2));
        let words: HashSet<_> = causes().map(reason).collect();
        assert_eq!(words.len(), Rule::ALL.len() + 2);
    }

    #[test]
    fn a_text_fits_into_one_string() {
        let url = Url::parse(&format!("https://{}", "a".repeat(LONGEST - 8))).unwrap();
        for cause in causes() {
            let host = listed("2001:db8::1", cause);
            let text = Words(&host, Some(&url)).to_string();
            assert!(text.len() <= 255 && text.is_ascii(), "{text}");
        }
        let host = listed("192.0.2.1", Cause::Rule(Rule::Helo));
        assert_eq!(
            Words(&host, None).to_string(),
            "Deferred from 2026-11-29T12:00:00Z until 2026-11-30T12:00:00Z: different names in HELO"
        );
    }

    #[test]
    fn only_links_are_links() {
        for (text, wanted) in [
            ("https://mx.example.org/trap", None),
            ("http://mx.example.org/?a=b&c=%20$", None),
            ("mx.example.org", Some(UrlError::Scheme)),
            ("https://", Some(UrlError::Scheme)),
            ("ftp://mx.example.org", Some(UrlError::Scheme)),
            ("https://mx.example.org/\"", Some(UrlError::Character)),
            ("https://mx.example.org/a b", Some(UrlError::Character)),
            ("https://mx.example.org/\n", Some(UrlError::Character)),
            ("https://mx.example.org/\u{e9}", Some(UrlError::Character)),
        ] {
            assert_eq!(Url::parse(text).err(), wanted, "{text}");
        }
        let long = format!("https://{}", "a".repeat(LONGEST - 7));
        assert_eq!(Url::parse(&long), Err(UrlError::Long));
    }
}

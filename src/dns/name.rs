//! Domain names. In: the text of a sender domain, a HELO name or an address. Out: a [`Name`] in wire
//! format.
//!
//! The text comes from strangers through the database; the resolver calls this before it asks. Text that
//! cannot be a mail domain is refused here and never reaches a name server; the rule `syntax` has already
//! judged it. U-labels become A-labels (RFC 5890) through UTS #46.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use domain::base::name::{Label, ParsedName, ToLabelIter};
use idna::AsciiDenyList;

/// RFC 1035 2.3.4: octets of a label.
const MAX_LABEL: usize = 63;
/// RFC 1035 2.3.4: octets of a name in wire format, including the root label.
const MAX_NAME: usize = 255;

/// An absolute domain name in wire format (RFC 1035 3.1), its letters in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

/// Why a text is not a name that can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameError {
    /// It is empty, or only the root.
    Empty,
    /// It has two dots in a row, or begins with a dot.
    EmptyLabel,
    /// A label of more than 63 octets.
    LongLabel,
    /// More than 255 octets in wire format.
    LongName,
    /// It has only digits and dots: an address or part of one.
    Numeric,
    /// It has something other than letters, digits, `-` and `_`.
    Character,
    /// It is not UTF-8, or has U-labels that IDNA does not allow.
    Idna,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "name is empty",
            Self::EmptyLabel => "name has an empty label",
            Self::LongLabel => "label is longer than 63 octets",
            Self::LongName => "name is longer than 255 octets",
            Self::Numeric => "name is all numeric",
            Self::Character => "name has a character that is not allowed in host names",
            Self::Idna => "name is not a valid internationalized name",
        })
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// The root; the control query asks for its name servers.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// The name of a mail domain; a final dot stands for the root.
    ///
    /// # Errors
    /// The text cannot be looked up.
    pub fn from_domain(text: &[u8]) -> Result<Self, NameError> {
        let ascii = if text.is_ascii() {
            Cow::Borrowed(text)
        } else {
            let ascii = idna::domain_to_ascii_cow(text, AsciiDenyList::EMPTY)
                .map_err(|_| NameError::Idna)?;
            Cow::Owned(ascii.into_owned().into_bytes())
        };
        Self::from_ascii(&ascii)
    }

    /// A name of any octets but dots within labels, which stand between them; a final dot stands for the
    /// root. SPF policies ask for such names.
    ///
    /// # Errors
    /// It has an empty label, or it or a label is too long.
    pub fn from_octets(text: &[u8]) -> Result<Self, NameError> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        text.split(|b| *b == b'.').try_for_each(check_length)?;
        Self::from_short_labels(text)
    }

    /// A HELO argument, if it is a host name with a dot; nothing else has identity.
    pub fn from_helo(text: &[u8]) -> Option<Self> {
        Self::from_domain(crate::name::host_name(text)?).ok()
    }

    /// The name of the PTR records for `address` (RFC 1035 3.5, RFC 3596 2.5).
    pub fn reverse(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let zone = if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
        let text = format!("{}.{zone}", crate::name::reversed(address));
        Self::from_labels(text.split('.').map(str::as_bytes))
    }

    /// A name from a message.
    pub fn from_parsed<O: AsRef<[u8]>>(name: &ParsedName<O>) -> Self {
        Self::from_labels(name.iter_labels().filter(|l| !l.is_root()).map(Label::as_slice))
    }

    /// The wire format.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from left to right, without the root label.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            let (label, tail) = tail.split_at_checked(usize::from(length))?;
            rest = tail;
            (length > 0).then_some(label)
        })
    }

    /// Whether it is `above` or below it (RFC 1034 3.1).
    pub fn is_within(&self, above: &Self) -> bool {
        let (own, above): (Vec<_>, Vec<_>) = (self.labels().collect(), above.labels().collect());
        own.ends_with(&above)
    }

    /// The text without the final dot, in the form that the public suffix list expects.
    pub fn text(&self) -> Vec<u8> {
        self.labels().collect::<Vec<_>>().join(&b'.')
    }

    fn from_ascii(text: &[u8]) -> Result<Self, NameError> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        text.split(|b| *b == b'.').try_for_each(check_label)?;
        if text.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
            return Err(NameError::Numeric);
        }
        Self::from_short_labels(text)
    }

    /// Assumes that no label is too long.
    fn from_short_labels(text: &[u8]) -> Result<Self, NameError> {
        // One length octet replaces each dot, plus one for the first label and one for the root.
        if text.len().saturating_add(2) > MAX_NAME {
            return Err(NameError::LongName);
        }
        Ok(Self::from_labels(text.split(|b| *b == b'.')))
    }

    /// Assumes that no label is too long.
    fn from_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut wire = Vec::with_capacity(MAX_NAME);
        for label in labels {
            wire.push(u8::try_from(label.len()).unwrap_or(0));
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
        }
        wire.push(0);
        Self(wire.as_slice().into())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", crate::escape::escaped(&self.text()))
    }
}

fn check_length(label: &[u8]) -> Result<(), NameError> {
    match label.len() {
        0 => Err(NameError::EmptyLabel),
        1..=MAX_LABEL => Ok(()),
        _ => Err(NameError::LongLabel),
    }
}

fn check_label(label: &[u8]) -> Result<(), NameError> {
    check_length(label)?;
    if label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        Ok(())
    } else {
        Err(NameError::Character)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> Result<Vec<u8>, NameError> {
        Name::from_domain(text.as_bytes()).map(|n| n.wire().to_vec())
    }

    #[test]
    fn labels_become_counted_and_lower_case() {
        let expected = b"\x07example\x03com\0".to_vec();
        for text in ["example.com", "example.com.", "Example.COM"] {
            assert_eq!(wire(text), Ok(expected.clone()), "{text}");
        }
        assert_eq!(wire("_dmarc.a-b"), Ok(b"\x06_dmarc\x03a-b\0".to_vec()));
    }

    /// A-labels as in RFC 3492 7.1 and in registries.
    #[test]
    fn u_labels_become_a_labels() {
        assert_eq!(wire("bücher.example"), wire("xn--bcher-kva.example"));
        assert_eq!(wire("BÜCHER.example"), wire("xn--bcher-kva.example"));
        assert_eq!(wire("例え.テスト"), wire("xn--r8jz45g.xn--zckzah"));
        assert_eq!(wire("straße.example"), wire("xn--strae-oqa.example"));
    }

    #[test]
    fn what_the_syntax_rule_has_is_not_asked() {
        let label = |n| "a".repeat(n);
        for (text, error) in [
            (String::new(), NameError::Empty),
            (".".into(), NameError::Empty),
            ("..".into(), NameError::EmptyLabel),
            (".example".into(), NameError::EmptyLabel),
            ("a..example".into(), NameError::EmptyLabel),
            ("192.0.2.1".into(), NameError::Numeric),
            ("12345".into(), NameError::Numeric),
            ("a b.example".into(), NameError::Character),
            ("a\0.example".into(), NameError::Character),
            ("[192.0.2.1]".into(), NameError::Character),
            (format!("{}.example", label(64)), NameError::LongLabel),
        ] {
            assert_eq!(wire(&text), Err(error), "{text:?}");
        }
        assert_eq!(Name::from_domain(b"b\xfccher.example"), Err(NameError::Idna));
        assert!(wire(&format!("{}.example", label(63))).is_ok());
    }

    /// RFC 1035 2.3.4: 255 octets, including the length octets and the root.
    #[test]
    fn a_name_of_255_octets_is_the_longest() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(wire(&longest).map(|w| w.len()), Ok(255));
        assert_eq!(wire(&format!("{longest}a")), Err(NameError::LongName));
    }

    #[test]
    fn policies_may_ask_for_any_octets() {
        let wire = |text: &[u8]| Name::from_octets(text).map(|name| name.wire().to_vec());
        assert_eq!(wire(b"a:B/\xff.example."), Ok(b"\x05a:b/\xff\x07example\0".to_vec()));
        for (text, error) in [
            (&b""[..], NameError::Empty),
            (b".", NameError::Empty),
            (b"a..b", NameError::EmptyLabel),
            (&[b'a'; 64], NameError::LongLabel),
            (&b"a.".repeat(128), NameError::LongName),
        ] {
            assert_eq!(wire(text), Err(error));
        }
    }

    #[test]
    fn a_name_is_within_itself_and_what_is_above() {
        let name = |text: &str| Name::from_octets(text.as_bytes()).unwrap();
        for (below, above, wanted) in [
            ("mail.Example.com", "example.com", true),
            ("example.com", "example.com", true),
            ("badexample.com", "example.com", false),
            ("com", "example.com", false),
        ] {
            assert_eq!(name(below).is_within(&name(above)), wanted, "{below} {above}");
        }
    }

    #[test]
    fn helo_names_have_a_dot_and_are_no_address() {
        assert!(Name::from_helo(b"mail.example.com").is_some());
        for helo in ["localhost", "192.0.2.1", "[192.0.2.1]", "", "a b.c", "com."] {
            assert_eq!(Name::from_helo(helo.as_bytes()), None, "{helo}");
        }
    }

    /// The examples of RFC 1035 3.5 and RFC 3596 2.5.
    #[test]
    fn reverse_names() {
        let text = |a: &str| String::from_utf8(Name::reverse(a.parse().unwrap()).text()).unwrap();
        assert_eq!(text("10.2.0.52"), "52.0.2.10.in-addr.arpa");
        assert_eq!(text("::ffff:10.2.0.52"), "52.0.2.10.in-addr.arpa");
        assert_eq!(
            text("4321:0:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"
        );
    }
}

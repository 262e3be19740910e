//! What evidence is about, in the form in which it is compared.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The octets of the longest name that is evidence. The longest domain name has 253 (RFC 1035, 2.3.4), and
/// few recipients have as many.
pub const NAME_MAX: usize = 255;

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// What a host said in HELO.
    Helo,
    /// The registrable domain of an envelope sender.
    Domain,
    /// An envelope recipient.
    Recipient,
}

/// A HELO name, a sender domain or a recipient: lower case, not empty, at most [`NAME_MAX`] octets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: Box<[u8]>,
}

impl Key {
    /// What a host said in HELO, without the dot of the root.
    pub fn helo(helo: &[u8]) -> Option<Key> {
        let name = helo.strip_suffix(b".").unwrap_or(helo);
        Key::new(Kind::Helo, name)
    }

    /// The registrable domain of a sender, as [`registrable`](crate::name::registrable) has it.
    pub fn domain(domain: &[u8]) -> Option<Key> {
        Key::new(Kind::Domain, domain.strip_suffix(b".").unwrap_or(domain))
    }

    /// A recipient, as spamd has it, without what is only a spelling of it: angle brackets, a source route
    /// (RFC 5321, appendix C), the quotes of a quoted string and a trailing dot.
    pub fn recipient(recipient: &[u8]) -> Option<Key> {
        let inner = recipient.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
        let text = inner.unwrap_or(recipient);
        let colon = text.iter().position(|byte| *byte == b':').filter(|_| text.starts_with(b"@"));
        let text = colon.and_then(|at| text.get(at.saturating_add(1)..)).unwrap_or(text);
        let text = text.strip_suffix(b".").unwrap_or(text);
        let at = text.iter().rposition(|byte| *byte == b'@').unwrap_or(text.len());
        let (local, domain) = text.split_at_checked(at).unwrap_or((text, b""));
        let quoted = local.strip_prefix(b"\"").and_then(|local| local.strip_suffix(b"\""));
        Key::new(Kind::Recipient, &[unescaped(quoted.unwrap_or(local)), domain.into()].concat())
    }

    fn new(kind: Kind, name: &[u8]) -> Option<Key> {
        let is_one = (1..=NAME_MAX).contains(&name.len());
        is_one.then(|| Key { kind, name: name.to_ascii_lowercase().into() })
    }
}

/// The text of a local part without the backslashes of quoted pairs (RFC 5321, 4.1.2).
fn unescaped(local: &[u8]) -> Vec<u8> {
    let (mut text, mut bytes) = (Vec::with_capacity(local.len()), local.iter());
    while let Some(byte) = bytes.next() {
        text.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
    }
    text
}

/// One tuple of an anonymous host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting<'a> {
    /// The host.
    pub address: IpAddr,
    /// What it said in HELO.
    pub helo: &'a [u8],
    /// The registrable domain of the envelope sender; `None` for the null sender, and for one without a
    /// domain.
    pub domain: Option<&'a [u8]>,
    /// The envelope recipient.
    pub recipient: &'a [u8],
    /// When spamd first saw the tuple, in seconds since 1970.
    pub time: i64,
}

impl Sighting<'_> {
    /// The keys that it is evidence for: those that memory must be asked about before it is judged.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        let domain = self.domain.and_then(Key::domain);
        Key::helo(self.helo).into_iter().chain(domain).chain(Key::recipient(self.recipient))
    }
}

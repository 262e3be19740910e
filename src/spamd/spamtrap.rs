//! Makes a recipient a spamtrap: spamd(8) traps every greylisted host that writes to it.
//!
//! What is written is what `spamdb -T -a ADDRESS` writes (`dbupdate()` in usr.sbin/spamdb/spamdb.c):
//!
//! | found under the address | written |
//! |---|---|
//! | nothing | first = now, pass = 0, expire = 0, bcount = 1, pcount = −2 |
//! | SPAMTRAP | nothing: it is one already |
//! | anything else | nothing, ever |
//!
//! The key is in lower case and without angle brackets, which is how spamd looks a recipient up
//! (`dequotetolower()` and `trapcheck()` in libexec/spamd/grey.c). spamdb takes any text with an `@`; here it
//! must be an address, and not one that everybody may write to.
#![forbid(unsafe_code)]

use super::Gdata;
use super::record::PCOUNT_SPAMTRAP;
use super::trap::{Outcome, Refusal};
use crate::db::{Engine, EngineError};
use std::fmt;

/// The octets of the longest address: of a longer one nothing is known.
const LONGEST: usize = crate::evidence::NAME_MAX;
/// Mailboxes that must take mail (RFC 5321, 4.5.1) and complaints (RFC 2142, section 2) from everybody.
const RESERVED: [&str; 2] = ["postmaster", "abuse"];

/// The key of a spamtrap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spamtrap(String);

impl Spamtrap {
    /// The spamtrap of an address, with or without angle brackets.
    ///
    /// # Errors
    /// It is no address, or one that everybody may write to.
    pub fn parse(text: &[u8]) -> Result<Spamtrap, Refusal> {
        let inner = text.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
        let text = str::from_utf8(inner.unwrap_or(text)).map_err(|_| Refusal::NotARecipient)?;
        let (local, domain) = text.rsplit_once('@').ok_or(Refusal::NotARecipient)?;
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
        let is_route = local.starts_with('@');
        if local.is_empty()
            || domain.is_empty()
            || is_route
            || text.len() > LONGEST
            || text.contains(is_odd)
        {
            return Err(Refusal::NotARecipient);
        }
        if RESERVED.iter().any(|reserved| local.eq_ignore_ascii_case(reserved)) {
            return Err(Refusal::Reserved);
        }
        Ok(Spamtrap(text.to_ascii_lowercase()))
    }

    /// The key of its record.
    pub fn key(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Spamtrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes the recipient a spamtrap, at `now`, in seconds since 1970.
pub fn adopt(
    engine: &mut dyn Engine,
    spamtrap: &Spamtrap,
    now: i64,
) -> Result<Outcome, EngineError> {
    let order = engine.byte_order();
    if let Some(value) = engine.get(spamtrap.key())? {
        let is_one = Gdata::decode(&value, order).is_ok_and(|data| data.pcount == PCOUNT_SPAMTRAP);
        return Ok(match is_one {
            true => Outcome::IsSpamtrap,
            false => Outcome::Refused(Refusal::Foreign),
        });
    }
    let data = Gdata { first: now, bcount: 1, pcount: PCOUNT_SPAMTRAP, ..Gdata::default() };
    engine.put(spamtrap.key(), &data.encode(order))?;
    Ok(Outcome::Adopted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_up_in_lower_case_without_brackets() {
        for (text, key) in [
            ("Info@Example.ORG", "info@example.org"),
            ("<Info@Example.ORG>", "info@example.org"),
            ("a@b@c", "a@b@c"),
            ("a+b|c@example.org", "a+b|c@example.org"),
            ("postmasters@example.org", "postmasters@example.org"),
        ] {
            assert_eq!(Spamtrap::parse(text.as_bytes()).unwrap().as_str(), key);
        }
    }

    #[test]
    fn what_is_no_address_or_everybodys_is_refused() {
        let longest = format!("{}@example.org", "a".repeat(LONGEST - 12));
        assert!(Spamtrap::parse(longest.as_bytes()).is_ok());
        let longer = format!("a{longest}");
        for (text, refusal) in [
            (&b""[..], Refusal::NotARecipient),
            (b"info", Refusal::NotARecipient),
            (b"@example.org", Refusal::NotARecipient),
            (b"info@", Refusal::NotARecipient),
            (b"<info@example.org", Refusal::NotARecipient),
            (b"in fo@example.org", Refusal::NotARecipient),
            (b"info@example.org\n<x>", Refusal::NotARecipient),
            (b"in\0fo@example.org", Refusal::NotARecipient),
            (b"in\xfffo@example.org", Refusal::NotARecipient),
            (b"@relay.example:info@example.org", Refusal::NotARecipient),
            (longer.as_bytes(), Refusal::NotARecipient),
            (b"Postmaster@example.org", Refusal::Reserved),
            (b"<ABUSE@example.org>", Refusal::Reserved),
        ] {
            assert_eq!(Spamtrap::parse(text), Err(refusal), "{}", text.escape_ascii());
        }
    }
}

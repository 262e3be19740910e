//! Names as strangers write them: finds out which are not valid, and which HELO strings are host names.

use std::fmt;

/// The longest label (RFC 1035, 2.3.4).
pub(super) const LABEL_MAX: usize = 63;
/// The longest name as text (RFC 1035, 2.3.4: 255 octets on the wire).
const NAME_MAX: usize = 253;

/// Why a text is not a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// It is empty.
    Empty,
    /// It has one label: a reply from elsewhere cannot reach it.
    OneLabel,
    /// It consists of digits and dots.
    Numeric,
    /// It has two dots in a row, or begins with a dot.
    EmptyLabel,
    /// A label of more than 63 octets.
    LongLabel,
    /// A character that is not allowed in names.
    Character(char),
    /// An address literal that is not closed, is empty, or contains a character that is not allowed.
    Literal,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameFault::Empty => f.write_str("empty domain"),
            NameFault::OneLabel => f.write_str("domain without a dot"),
            NameFault::Numeric => f.write_str("domain of digits only"),
            NameFault::EmptyLabel => f.write_str("empty label in domain"),
            NameFault::LongLabel => f.write_str("label of more than 63 octets in domain"),
            NameFault::Character(c) if c.is_ascii_graphic() => write!(f, "{c} in domain"),
            NameFault::Character(' ' | '\t') => f.write_str("blank in domain"),
            NameFault::Character(_) => f.write_str("control character in domain"),
            NameFault::Literal => f.write_str("broken address literal"),
        }
    }
}

/// Whether `domain` is certainly a name: short, with at least two labels and a letter. This is the fast
/// path for nearly all senders; `false` means nothing.
pub fn is_plain(domain: &[u8]) -> bool {
    let mut seen = 0;
    let mut before = DOT;
    for &byte in domain {
        let class = class(byte);
        // Two dots in a row show as a bit that no byte has.
        seen |= class | (class & before & DOT) << 4;
        before = class;
    }
    let is_lettered = seen & (LETTER | CAPITAL) != 0;
    let is_odd = seen & !(DIGIT | OTHER | LETTER | CAPITAL) != DOT;
    domain.len() <= LABEL_MAX && is_lettered && !is_odd && before != DOT
}

pub(super) const DOT: u8 = 1;
pub(super) const LETTER: u8 = 2;
pub(super) const DIGIT: u8 = 4;
/// Hyphen and underscore.
const OTHER: u8 = 8;
const FOREIGN: u8 = 32;
const CAPITAL: u8 = 64;

pub(super) fn class(byte: u8) -> u8 {
    #[allow(clippy::cast_possible_truncation, clippy::indexing_slicing)] // Built by the compiler.
    const CLASS: [u8; 256] = {
        let mut table = [FOREIGN; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = match byte as u8 {
                b'.' => DOT,
                b'0'..=b'9' => DIGIT,
                b'a'..=b'z' => LETTER,
                b'A'..=b'Z' => CAPITAL,
                b'-' | b'_' => OTHER,
                _ => FOREIGN,
            };
            byte += 1;
        }
        table
    };
    CLASS.get(usize::from(byte)).copied().unwrap_or(FOREIGN)
}

/// What is wrong with the domain of a sender, without its trailing dot.
///
/// A label consists of letters, digits, `-`, `_` and any non-ASCII characters, in any order. Address
/// literals (RFC 5321, 4.1.3) may contain what RFC 5322, 3.4.1 calls `dtext`.
pub fn check(domain: &[u8]) -> Result<(), NameFault> {
    if domain.is_empty() {
        return Err(NameFault::Empty);
    }
    if let Some(literal) = domain.strip_prefix(b"[") {
        return check_literal(literal);
    }
    if let Some(&byte) = domain.iter().find(|&&byte| byte.is_ascii() && class(byte) == FOREIGN) {
        return Err(NameFault::Character(char::from(byte)));
    }
    let mut labels = 0u32;
    for label in Labels(Some(domain)) {
        match label.len() {
            0 => return Err(NameFault::EmptyLabel),
            1..=LABEL_MAX => labels = labels.saturating_add(1),
            _ if !label.is_ascii() => labels = labels.saturating_add(1),
            _ => return Err(NameFault::LongLabel),
        }
    }
    let is_numeric = domain.iter().all(|&byte| matches!(class(byte), DIGIT | DOT));
    match labels {
        _ if is_numeric => Err(NameFault::Numeric),
        0 | 1 => Err(NameFault::OneLabel),
        _ => Ok(()),
    }
}

fn check_literal(literal: &[u8]) -> Result<(), NameFault> {
    let inner = literal.strip_suffix(b"]").ok_or(NameFault::Literal)?;
    let is_dtext =
        |&byte: &u8| !byte.is_ascii() || byte.is_ascii_graphic() && !b"[]\\".contains(&byte);
    let is_literal = !inner.is_empty() && inner.iter().all(is_dtext);
    if is_literal { Ok(()) } else { Err(NameFault::Literal) }
}

/// A HELO string as a host name, without a trailing dot: ASCII, with at least one dot, and not an address.
/// Everything else (addresses, literals, garbage) is `None`.
pub fn host_name(helo: &[u8]) -> Option<&[u8]> {
    let name = helo.strip_suffix(b".").unwrap_or(helo);
    if is_plain(name) {
        return Some(name);
    }
    let is_name = name.is_ascii() && name.len() <= NAME_MAX && !name.starts_with(b"[");
    (is_name && check(name).is_ok()).then_some(name)
}

/// Appends `text` with its ASCII letters in lower case.
pub fn lower(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text);
    out.get_mut(start..).unwrap_or_default().make_ascii_lowercase();
}

/// The labels of a name, including empty ones. IDEOGRAPHIC, FULLWIDTH and HALFWIDTH IDEOGRAPHIC FULL STOP
/// separate labels as the dot does (RFC 3490, 3.1), since input methods produce them.
pub(super) struct Labels<'a>(pub Option<&'a [u8]>);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0.take()?;
        let found = (0..text.len()).find_map(|at| {
            let (label, rest) = text.split_at_checked(at)?;
            Some((label, after_separator(rest)?))
        });
        let Some((label, rest)) = found else { return Some(text) };
        self.0 = Some(rest);
        Some(label)
    }
}

fn after_separator(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'.', rest @ ..]
        | [0xe3, 0x80, 0x82, rest @ ..]
        | [0xef, 0xbc, 0x8e, rest @ ..]
        | [0xef, 0xbd, 0xa1, rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn host_names_of_helo() {
        for helo in
            ["mail.example.com", "mail.example.com.", "dsl-192-0-2-1.pool.example", "a_b.example"]
        {
            let name = helo.trim_end_matches('.').as_bytes();
            assert_eq!(host_name(helo.as_bytes()), Some(name), "{helo}");
        }
        let long = format!("{}.example", "a.".repeat(130));
        for helo in [
            "localhost",
            "",
            ".",
            "192.0.2.1",
            "[192.0.2.1]",
            "2001:db8::1",
            "[IPv6:2001:db8::1]",
            "::ffff:192.0.2.1",
            "a|b.example",
            "a..b",
            "mail example.com",
            "bücher.example",
            "-\u{7}.x",
            &long,
        ] {
            assert_eq!(host_name(helo.as_bytes()), None, "{helo}");
        }
    }

    proptest! {
        #[test]
        fn what_is_plain_has_no_fault(domain in "[a-zA-Z0-9.@_ -]{0,70}") {
            if is_plain(domain.as_bytes()) {
                prop_assert_eq!(check(domain.as_bytes()), Ok(()));
            }
        }

        #[test]
        fn no_bytes_disturb_it(bytes: Vec<u8>) {
            let _ = (check(&bytes), host_name(&bytes), is_plain(&bytes));
        }
    }
}

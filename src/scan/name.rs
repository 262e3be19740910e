//! Domain names as strangers write them: whether they can be names at all, and a form in which two of
//! them compare.
//!
//! The domain of a sender or a HELO name comes in, its fault or its registrable domain goes out. The
//! public suffix list (crate `psl`) says which part of a name somebody can register; it wants lower
//! case, and U-labels and A-labels (RFC 5890, 2.3.2.1) of one name must come out the same, so A-labels
//! are decoded.

use psl::Psl;
use std::fmt;

/// The longest label (RFC 1035, 2.3.4).
const LABEL_MAX: usize = 63;
/// The same less `xn--` (RFC 5890, 2.3.2.1).
const PUNYCODE_MAX: usize = LABEL_MAX - 4;
/// The longest name as text (RFC 1035, 2.3.4: 255 octets on the wire).
const NAME_MAX: usize = 253;

/// Why a domain is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// Nothing there.
    Empty,
    /// One label: nobody can answer there from elsewhere.
    OneLabel,
    /// Digits and dots alone.
    Numeric,
    /// Two dots in a row, or one at the beginning.
    EmptyLabel,
    /// A label of more than 63 octets.
    LongLabel,
    /// A character that no name has.
    Character(char),
    /// An address literal that does not close, or holds nothing, or what no literal holds.
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

/// Whether `domain` is surely a name: short, two labels or more, a letter in it. The fast way for what
/// nearly all senders have; false says nothing.
pub(super) fn is_plain(domain: &[u8]) -> bool {
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

/// Whether a name that is none too strange is [`registrable`] as it stands, and has no other spelling that
/// this would hold for: two labels of small letters and digits. Whatever the public suffix list has to say
/// about them, it is not less than both. False says nothing.
pub(super) fn is_registered(domain: &[u8]) -> bool {
    let (mut seen, mut dots) = (0, 0u32);
    for &byte in domain {
        let class = class(byte);
        seen |= class;
        dots = dots.wrapping_add((class & DOT).into());
    }
    dots == 1 && seen & !(DOT | LETTER | DIGIT) == 0
}

const DOT: u8 = 1;
const LETTER: u8 = 2;
const DIGIT: u8 = 4;
/// Hyphen and underscore.
const OTHER: u8 = 8;
const FOREIGN: u8 = 32;
const CAPITAL: u8 = 64;

fn class(byte: u8) -> u8 {
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

/// What is wrong with the domain of a sender, which has lost its trailing dot.
///
/// Letters, digits, `-` and `_` make a label, in any order, and so does everything beyond ASCII;
/// address literals (RFC 5321, 4.1.3) may hold what RFC 5322, 3.4.1 calls `dtext`.
pub(super) fn check(domain: &[u8]) -> Result<(), NameFault> {
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

/// The host name that a HELO string is, without a trailing dot: ASCII, at least one dot, no address.
/// Everything else (addresses, whose digits or colons make them no name, literals,
/// garbage) is `None`.
pub(super) fn host_name(helo: &[u8]) -> Option<&[u8]> {
    let name = helo.strip_suffix(b".").unwrap_or(helo);
    if is_plain(name) {
        return Some(name);
    }
    let is_name = name.is_ascii() && name.len() <= NAME_MAX && !name.starts_with(b"[");
    (is_name && check(name).is_ok()).then_some(name)
}

/// Appends the name in the form in which names compare: lower case, A-labels decoded, dots plain.
pub(super) fn canonical(domain: &[u8], out: &mut Vec<u8>) {
    if domain.is_ascii() && !has_a_label(domain) {
        return lower(domain, out);
    }
    for (number, label) in Labels(Some(domain)).enumerate() {
        if number > 0 {
            out.push(b'.');
        }
        let encoded = is_a_label(label).then(|| label.get(4..)).flatten();
        let decoded = encoded.and_then(decode);
        match decoded.as_deref().or_else(|| str::from_utf8(label).ok().filter(|l| !l.is_ascii())) {
            Some(text) => out.extend_from_slice(text.to_lowercase().as_bytes()),
            None => lower(label, out),
        }
    }
}

/// The text that stands in an A-label behind `xn--`; `None` if it is no Punycode (RFC 3492), or longer than
/// a label can be.
fn decode(encoded: &[u8]) -> Option<String> {
    let encoded = str::from_utf8(encoded).ok().filter(|text| text.len() <= PUNYCODE_MAX)?;
    idna::punycode::decode_to_string(encoded)
}

/// Appends `text` with its ASCII letters in lower case.
pub(super) fn lower(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text);
    out.get_mut(start..).unwrap_or_default().make_ascii_lowercase();
}

fn has_a_label(domain: &[u8]) -> bool {
    memchr::memchr(b'-', domain).is_some() && domain.split(|&byte| byte == b'.').any(is_a_label)
}

fn is_a_label(label: &[u8]) -> bool {
    label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"))
}

/// Appends what somebody registered to have this name, in canonical form: the public suffix and one
/// label more. Address literals and bare public suffixes count as themselves.
pub(super) fn registrable(domain: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    canonical(domain, out);
    let name = out.get(start..).unwrap_or_default();
    if name.starts_with(b"[") {
        return;
    }
    if let Some(registered) = psl::List.domain(name) {
        let excess = name.len().saturating_sub(registered.as_bytes().len());
        out.drain(start..start.saturating_add(excess));
    }
}

/// The labels of a name, the empty ones too. The full stops IDEOGRAPHIC, FULLWIDTH and HALFWIDTH
/// IDEOGRAPHIC separate as the dot does (RFC 3490, 3.1): input methods produce them.
struct Labels<'a>(Option<&'a [u8]>);

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

    fn registrable_of(domain: &str) -> String {
        let mut out = b"before".to_vec();
        registrable(domain.as_bytes(), &mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    /// publicsuffix.org/list, checked against its test data of the same names.
    #[test]
    fn registrable_domains() {
        for (domain, registered) in [
            ("example.com", "example.com"),
            ("a.b.Example.COM", "example.com"),
            ("WwW.example.com.", "example.com."),
            ("b.example.uk.com", "example.uk.com"),
            ("test.ac.jp", "test.ac.jp"),
            ("b.c.kobe.jp", "b.c.kobe.jp"),
            ("city.kobe.jp", "city.kobe.jp"),
            ("www.city.kobe.jp", "city.kobe.jp"),
            ("www.test.k12.ak.us", "test.k12.ak.us"),
            ("www.食狮.公司.cn", "食狮.公司.cn"),
            ("www.xn--85x722f.xn--55qx5d.cn", "食狮.公司.cn"),
            ("WWW.XN--85X722F.com.cn", "食狮.com.cn"),
            ("www.BÜCHER.example", "bücher.example"),
            ("例え。テスト", "例え.テスト"),
            // A public suffix, and an address literal, count as themselves.
            ("co.uk", "co.uk"),
            ("com", "com"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
        ] {
            let wanted = registered.trim_end_matches('.');
            assert_eq!(registrable_of(domain).trim_end_matches('.'), wanted, "{domain}");
        }
    }

    proptest! {
        #[test]
        fn what_is_registered_is_registrable_as_it_stands(domain in "[a-zA-Z0-9-]{1,4}\\.(co|com|uk|ck|www|[a-z]{2})(\\.(uk|ck|[a-z]{2}))?") {
            let own = registrable_of(&domain);
            if is_registered(domain.as_bytes()) {
                prop_assert_eq!(own, domain);
            } else {
                let is_plain = domain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.'));
                prop_assert!(!is_plain || domain.matches('.').count() != 1);
            }
        }
    }

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
        fn the_registrable_domain_is_the_end_of_the_name(name in "[a-z]{1,5}(\\.[a-z]{1,5}){0,4}") {
            let registered = registrable_of(&name);
            let is_end = name == registered || name.ends_with(&format!(".{registered}"));
            prop_assert!(is_end, "{} of {}", registered, name);
            prop_assert_eq!(registrable_of(&registered), registered);
        }

        #[test]
        fn no_bytes_disturb_it(bytes: Vec<u8>) {
            let _ = (check(&bytes), host_name(&bytes), is_plain(&bytes));
            registrable(&bytes, &mut Vec::new());
        }
    }

    /// The samples of RFC 3492, 7.1, and names in use.
    #[test]
    fn samples_of_the_rfc() {
        for (encoded, text) in [
            ("ihqwcrb4cv8a8dqg056pqjye", "他们为什么不说中文"),
            ("Proprostnemluvesky-uyb24dma41a", "Pročprostěnemluvíčesky"),
            ("TisaohkhngthchnitingVit-kjcr8268qyxafd2f1b9g", "TạisaohọkhôngthểchỉnóitiếngViệt"),
            ("3B-ww4c5e180e575a65lsy2b", "3年B組金八先生"),
            ("Hello-Another-Way--fc4qua05auwb3674vfr0b", "Hello-Another-Way-それぞれの場所"),
            ("d9juau41awczczp", "そのスピードで"),
            ("-> $1.00 <--", "-> $1.00 <-"),
            ("bcher-kva", "bücher"),
            ("p1ai", "рф"),
            ("55qx5d", "公司"),
        ] {
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Some(text), "{encoded}");
        }
    }

    #[test]
    fn what_is_no_punycode_is_none() {
        let long = "a".repeat(PUNYCODE_MAX + 1);
        for encoded in ["a-!", "9999999999", "bcher-kv", "\u{fc}", &long] {
            assert_eq!(decode(encoded.as_bytes()), None, "{encoded}");
        }
    }
}

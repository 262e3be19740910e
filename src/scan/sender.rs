//! Parses the envelope sender, as leniently as real mail requires.
//!
//! In: a `from` field as spamd(8) keeps it. Out: a [`Sender`], which borrows the bytes. `notes` parses the
//! sender of every tuple, so there is a fast path for the usual form (`plain`); the slow path (`careful`)
//! finds out what is wrong with the others. Strangers chose the bytes.
//!
//! | form | source | here |
//! |---|---|---|
//! | `<>` | RFC 5321, 4.5.5 | null |
//! | `user@dom` without brackets | libexec/spamd/spamd.c `setlog()` keeps what was sent | mailbox |
//! | `<@a,@b:user@dom>` | RFC 5321, 4.1.2 and appendix C (source route) | mailbox |
//! | `"any thing"@dom` | RFC 5321, 4.1.2 (Quoted-string) | mailbox |
//! | `<"any` | the same, cut at the blank by `setlog()` | cut |
//! | `<user@dom` | a blank before the bracket, cut there by `setlog()` | cut |
//! | `John` | a name before the bracket, the same | cut |
//! | `user@dom.` | seen in mail | mailbox |
//! | `user@[192.0.2.1]` | RFC 5321, 4.1.3 | mailbox |
//! | UTF-8 in either part | RFC 6531, 3.3 | mailbox |
//! | local part over 64 octets, `a..b@dom`, `.a@dom` | seen in good mail | mailbox |

use crate::name::{self, NameFault};
use std::borrow::Cow;
use std::fmt;

/// The longest field that spamd keeps: `MAX_MAIL` in libexec/spamd/grey.h, without the NUL.
const FIELD_MAX: usize = 1023;

/// A parsed envelope sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender<'a> {
    /// `<>`: a bounce, which has no sender.
    Null,
    /// spamd has kept only the beginning, so nothing is known about it.
    Cut,
    /// A mailbox.
    Mailbox(Mailbox<'a>),
    /// Something that could never receive a reply.
    Invalid(Fault),
}

/// A mailbox, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// The part before the `@`, with its quotes.
    pub local: &'a [u8],
    /// The part after it, without a trailing dot.
    pub domain: &'a [u8],
}

/// Why a sender is not a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No `@` outside quotes.
    NoAt,
    /// Nothing before the `@`.
    EmptyLocal,
    /// Only a dot before the `@`.
    DotLocal,
    /// A control character outside quotes.
    Control,
    /// A blank outside quotes.
    Blank,
    /// One of RFC 5322's specials outside quotes.
    Special(char),
    /// A quoted string that does not end.
    OpenQuote,
    /// Bytes over 0x7f that are not UTF-8.
    NotUtf8,
    /// The domain is not valid.
    Domain(NameFault),
}

impl<'a> Sender<'a> {
    /// Parses a sender.
    pub fn parse(from: &'a [u8]) -> Sender<'a> {
        let text = bare(from);
        if text.is_empty() {
            return Sender::Null;
        }
        if let Some(mailbox) = plain(text) {
            return Sender::Mailbox(mailbox);
        }
        if is_cut(from) {
            return Sender::Cut;
        }
        match careful(text) {
            Ok(mailbox) => Sender::Mailbox(mailbox),
            Err(fault) => Sender::Invalid(fault),
        }
    }
}

/// An address without its angle brackets, if it has both.
pub fn bare(address: &[u8]) -> &[u8] {
    match address {
        [b'<', inner @ .., b'>'] => inner,
        _ => address,
    }
}

/// Only the usual form: an atom with dots, `@`, and a name of at most 63 bytes.
fn plain(text: &[u8]) -> Option<Mailbox<'_>> {
    let at = text.iter().position(|&byte| !is_dot_atom(byte))?;
    let (local, rest) = text.split_at_checked(at)?;
    let domain = rest.strip_prefix(b"@")?;
    let is_mailbox = !local.is_empty() && local != b"." && name::is_plain(domain);
    is_mailbox.then_some(Mailbox { local, domain })
}

/// Whether spamd may have kept only the beginning: the field is full, or it ends within brackets, within a
/// quoted string or after a backslash, since `setlog()` cuts at the first blank wherever it is. A word
/// without brackets and `@` may be the beginning of a name before an address.
pub(super) fn is_cut(field: &[u8]) -> bool {
    let is_open = match field.strip_prefix(b"<") {
        Some(inside) => !inside.ends_with(b">") && closing(inside).is_none(),
        None => {
            let text = without_route(field);
            let has_at = memchr::memchr(b'@', text).is_some();
            !has_at || text.ends_with(b"\\") || split_local(text) == Err(Fault::OpenQuote)
        }
    };
    is_open || field.len() >= FIELD_MAX
}

/// The position of the first `>` outside quotes.
fn closing(text: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => drop(bytes.next()),
            b'>' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The plain address of a recipient, without brackets, source route (RFC 5321, appendix C), the quotes of a
/// quoted string and a trailing dot, all of which are only spellings of it.
///
/// `None` if spamd has cut it short, and for the postmaster without a domain, to whom everybody may write
/// (RFC 5321, 4.5.1).
pub(super) fn recipient(to: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = bare(to);
    if plain(text).is_some() {
        return Some(Cow::Borrowed(text));
    }
    if is_cut(to) {
        return None;
    }
    let inside = to.strip_prefix(b"<").and_then(|inside| inside.get(..closing(inside)?));
    let text = without_route(inside.unwrap_or(text));
    let (local, domain) = split_local(text).unwrap_or((text, b""));
    let mut address = unquoted(local);
    if !domain.is_empty() {
        address.push(b'@');
        address.extend_from_slice(domain.strip_suffix(b".").unwrap_or(domain));
    }
    let is_nobody = address.is_empty() || address.eq_ignore_ascii_case(b"postmaster");
    (!is_nobody).then_some(Cow::Owned(address))
}

/// The value of a quoted string (RFC 5321, 4.1.2).
fn unquoted(local: &[u8]) -> Vec<u8> {
    let mut is_quoted = false;
    let mut text = Vec::with_capacity(local.len());
    let mut bytes = local.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => text.extend(bytes.next()),
            _ => text.push(byte),
        }
    }
    text
}

/// The domain of a recipient or of a sender, as written, without a trailing dot; `None` if it has none or
/// spamd has cut it short.
pub(super) fn domain(address: &[u8]) -> Option<&[u8]> {
    if is_cut(address) {
        return None;
    }
    let inside = address.strip_prefix(b"<").and_then(|inside| inside.get(..closing(inside)?));
    let (_, domain) = split_local(without_route(inside.unwrap_or(address))).ok()?;
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    (!domain.is_empty()).then_some(domain)
}

/// All forms; the error is the first fault.
fn careful(text: &[u8]) -> Result<Mailbox<'_>, Fault> {
    if str::from_utf8(text).is_err() {
        return Err(Fault::NotUtf8);
    }
    let (local, domain) = split_local(without_route(text))?;
    match local {
        b"" => return Err(Fault::EmptyLocal),
        b"." => return Err(Fault::DotLocal),
        _ => {}
    }
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    name::check(domain).map_err(Fault::Domain)?;
    Ok(Mailbox { local, domain })
}

/// `text` without a source route, which begins with `@` and ends with a colon.
fn without_route(text: &[u8]) -> &[u8] {
    let end = text.starts_with(b"@").then(|| memchr::memchr(b':', text)).flatten();
    end.and_then(|end| text.get(end.checked_add(1)?..)).unwrap_or(text)
}

/// The parts before and after the first `@` outside quotes. A second one is a fault in the domain.
fn split_local(text: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let mut is_quoted = false;
    let mut bytes = text.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => drop(bytes.next()),
            _ if is_quoted || is_dot_atom(byte) || !byte.is_ascii() => {}
            b'@' => {
                let domain = text.get(at.saturating_add(1)..).unwrap_or_default();
                return Ok((text.get(..at).unwrap_or_default(), domain));
            }
            b' ' | b'\t' => return Err(Fault::Blank),
            _ if byte.is_ascii_control() => return Err(Fault::Control),
            _ => return Err(Fault::Special(char::from(byte))),
        }
    }
    Err(if is_quoted { Fault::OpenQuote } else { Fault::NoAt })
}

/// `atext` in RFC 5322, 3.2.3, and the dot.
fn is_dot_atom(byte: u8) -> bool {
    #[allow(clippy::cast_possible_truncation, clippy::indexing_slicing)] // Built by the compiler.
    const DOT_ATOM: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            let c = byte as u8;
            table[byte] = c.is_ascii_graphic()
                && !matches!(
                    c,
                    b'(' | b')'
                        | b'<'
                        | b'>'
                        | b'['
                        | b']'
                        | b':'
                        | b';'
                        | b'@'
                        | b'\\'
                        | b','
                        | b'"'
                );
            byte += 1;
        }
        table
    };
    DOT_ATOM.get(usize::from(byte)) == Some(&true)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoAt => f.write_str("no @"),
            Fault::EmptyLocal => f.write_str("nothing before the @"),
            Fault::DotLocal => f.write_str("only a dot before the @"),
            Fault::Control => f.write_str("control character"),
            Fault::Blank => f.write_str("blank outside quotes"),
            Fault::Special(special) => write!(f, "{special} outside quotes"),
            Fault::OpenQuote => f.write_str("unclosed quotes"),
            Fault::NotUtf8 => f.write_str("not UTF-8"),
            Fault::Domain(fault) => fault.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(from: &str) -> Sender<'_> {
        Sender::parse(from.as_bytes())
    }

    fn detail(from: &[u8]) -> String {
        match Sender::parse(from) {
            Sender::Invalid(fault) => fault.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn null_senders() {
        assert_eq!(parse("<>"), Sender::Null);
        assert_eq!(parse(""), Sender::Null);
    }

    /// Forms found in good mail, each with its source and the expected result.
    #[test]
    fn mailboxes() {
        let long = format!("{}@alerts.bounces.google.com", "3kZ".repeat(90));
        let (long_local, _) = long.split_once('@').unwrap();
        for (from, local, domain, source) in [
            ("<user@example.com>", "user", "example.com", "RFC 5321, 4.1.1.2"),
            ("user@example.com", "user", "example.com", "no brackets: setlog() of spamd.c"),
            ("<user@example.com.>", "user", "example.com", "trailing dot, seen in mail"),
            ("<@a.example,@b.example:user@example.com>", "user", "example.com", "RFC 5321, C"),
            ("<@a.example:\"x:y\"@example.com>", "\"x:y\"", "example.com", "RFC 5321, C"),
            ("<\"john doe\"@example.com>", "\"john doe\"", "example.com", "RFC 5321, 4.1.2"),
            ("<\"a@b\\\"c>\"@example.com>", "\"a@b\\\"c>\"", "example.com", "RFC 5321, 4.1.2"),
            (
                "<\"\"@example.com>",
                "\"\"",
                "example.com",
                "RFC 5321, 4.1.2: QcontentSMTP may be none",
            ),
            (
                "<a.\"b c\".d@example.com>",
                "a.\"b c\".d",
                "example.com",
                "RFC 5322, 4.4: obs-local-part",
            ),
            ("<u@[192.0.2.1]>", "u", "[192.0.2.1]", "RFC 5321, 4.1.3"),
            ("<u@[IPv6:2001:db8::1]>", "u", "[IPv6:2001:db8::1]", "RFC 5321, 4.1.3"),
            ("<jörg@bücher.example>", "jörg", "bücher.example", "RFC 6531, 3.3"),
            ("<用户@例え。テスト>", "用户", "例え。テスト", "RFC 3490, 3.1"),
            (
                "<a!#$%&'*+-/=?^_`{|}~b@example.com>",
                "a!#$%&'*+-/=?^_`{|}~b",
                "example.com",
                "RFC 5322, 3.2.3",
            ),
            ("<a..b.@docomo.example.jp>", "a..b.", "docomo.example.jp", "Japanese carriers"),
            ("<.a@example.com>", ".a", "example.com", "Japanese carriers"),
            ("<a@my_host.example.com>", "a", "my_host.example.com", "underscore, seen in mail"),
            ("<a@-x-.example.com>", "a", "-x-.example.com", "hyphens at the ends"),
            ("<a@1.2.3.example>", "a", "1.2.3.example", "RFC 1123, 2.1"),
            (
                "<list-return-7-joe=example.org@lists.example.com>",
                "list-return-7-joe=example.org",
                "lists.example.com",
                "VERP",
            ),
            ("<prvs=0123abcdef=joe@example.com>", "prvs=0123abcdef=joe", "example.com", "BATV"),
            (
                "<SRS0=HHH=TT=example.org=joe@example.com>",
                "SRS0=HHH=TT=example.org=joe",
                "example.com",
                "SRS",
            ),
            (
                "<owner-l*joe**example.org@example.com>",
                "owner-l*joe**example.org",
                "example.com",
                "LISTSERV",
            ),
            (&long, long_local, "alerts.bounces.google.com", "Google Alerts: 270 octets"),
        ] {
            let wanted = Mailbox { local: local.as_bytes(), domain: domain.as_bytes() };
            assert_eq!(parse(from), Sender::Mailbox(wanted), "{from} ({source})");
        }
    }

    #[test]
    fn labels_end_at_63_octets() {
        let label = "x".repeat(63);
        assert!(matches!(parse(&format!("<a@{label}.{label}.example>")), Sender::Mailbox(_)));
        assert_eq!(
            detail(format!("<a@{label}x.example>").as_bytes()),
            "label of more than 63 octets in domain"
        );
    }

    /// Senders that are not mailboxes, with the messages about them.
    #[test]
    fn faults() {
        for (from, said) in [
            (&b"<postmaster>"[..], "no @"),
            (b"<a>b@example.com", "< outside quotes"),
            (b"<@example.com>", "nothing before the @"),
            (b"<@a.example:>", "no @"),
            (b"<@a.example:@example.com>", "nothing before the @"),
            (b"<.@example.com>", "only a dot before the @"),
            (b"<a\x07@example.com>", "control character"),
            (b"<a\x7f@example.com>", "control character"),
            (b"<a b@example.com>", "blank outside quotes"),
            (b"<a\tb@example.com>", "blank outside quotes"),
            (b"<(c)@example.com>", "( outside quotes"),
            (b"<a,b@example.com>", ", outside quotes"),
            (b"<a;b@example.com>", "; outside quotes"),
            (b"<a:b@example.com>", ": outside quotes"),
            (b"<a\\b@example.com>", "\\ outside quotes"),
            (b"<<a@example.com>>", "< outside quotes"),
            (b"<\"a@example.com>", "unclosed quotes"),
            (b"<a\xff@example.com>", "not UTF-8"),
            (b"<a@example\xc3.com>", "not UTF-8"),
            (b"<a@>", "empty domain"),
            (b"<a@.>", "empty domain"),
            (b"<a@localhost>", "domain without a dot"),
            (b"<a@example.>", "domain without a dot"),
            (b"<a@192.0.2.1>", "domain of digits only"),
            (b"<a@12345>", "domain of digits only"),
            (b"<a@example..com>", "empty label in domain"),
            (b"<a@.example.com>", "empty label in domain"),
            (b"<a@example.com..>", "empty label in domain"),
            (b"<a@b@example.com>", "@ in domain"),
            (b"<a@exa mple.com>", "blank in domain"),
            (b"<a@exa\0mple.com>", "control character in domain"),
            (b"<a@example.com>SIZE=1", "< outside quotes"),
            (b"<a@exa!mple.com>", "! in domain"),
            (b"<a@[192.0.2.1>", "broken address literal"),
            (b"<a@[]>", "broken address literal"),
            (b"<a@[a b]>", "broken address literal"),
        ] {
            assert_eq!(detail(from), said, "{}", crate::escape::escaped(from));
        }
    }

    /// `setlog()` in spamd.c keeps the text before the first blank, at most 1023 bytes of it.
    #[test]
    fn what_spamd_cut_is_not_judged() {
        assert_eq!(parse("<\"john"), Sender::Cut);
        assert_eq!(parse("\"john"), Sender::Cut);
        assert_eq!(parse("<@a.example:\"john"), Sender::Cut);
        assert_eq!(parse("<john\\"), Sender::Cut);
        let long = |length| [b"<", &vec![b'a'; length - 2][..], b">"].concat();
        assert_eq!(Sender::parse(&long(FIELD_MAX)), Sender::Cut);
        assert_eq!(Sender::parse(&long(FIELD_MAX - 1)), Sender::Invalid(Fault::NoAt));
    }

    /// What was sent after the colon, and the result for what `setlog()` keeps of it: everything before the
    /// first blank that is not at the beginning.
    #[test]
    fn a_blank_inside_the_brackets_leaves_nothing_to_judge() {
        for (sent, is_cut) in [
            ("<user@example.com >", true),
            ("< user@example.com>", true),
            ("< >", true),
            ("<first.last@example.com >SIZE=9", true),
            ("<user@example.com SIZE=100>", true),
            ("<@a.example, @b.example:user@example.com>", true),
            ("<user@ example.com>", true),
            ("<us\ter@example.com>", true),
            ("<\"john doe\"@example.com>", true),
            ("<\"a>b c\"@example.com>", true),
            ("John <user@example.com>", true),
            ("\"John Doe\" <user@example.com>", true),
            ("\"John\" <user@example.com>", true),
            ("Doe, John <user@example.com>", true),
            ("<user@example.com> SIZE=100", false),
            (" <user@example.com>", false),
            ("user@example.com SIZE=100", false),
            ("<nobody> SIZE=100", false),
            ("<a>b@example.com", false),
            ("<user@localhost>", false),
        ] {
            let kept = sent.trim_start_matches([' ', '\t']);
            let kept = kept.split([' ', '\t']).next().unwrap();
            assert_eq!(parse(kept) == Sender::Cut, is_cut, "{sent}");
        }
    }

    #[test]
    fn a_recipient_is_an_address_in_one_spelling() {
        for (to, wanted) in [
            ("<joe@ours.example>", Some("joe@ours.example")),
            ("joe@ours.example", Some("joe@ours.example")),
            ("<Joe@Ours.Example>", Some("Joe@Ours.Example")),
            ("<joe@ours.example.>", Some("joe@ours.example")),
            ("<@relay.example:joe@ours.example>", Some("joe@ours.example")),
            ("<@a.example,@b.example:joe@ours.example.>", Some("joe@ours.example")),
            ("<\"joe\"@ours.example>", Some("joe@ours.example")),
            ("<\"jo\\e\"@ours.example>", Some("joe@ours.example")),
            ("<\"joe\".\"doe\"@ours.example>", Some("joe.doe@ours.example")),
            ("<\"joe@home\"@ours.example>", Some("joe@home@ours.example")),
            ("<joe@ours.example>NOTIFY=NEVER", Some("joe@ours.example")),
            ("<joe>", Some("joe")),
            ("<joe@[192.0.2.1]>", Some("joe@[192.0.2.1]")),
            ("<joe@ours.example", None),
            ("<", None),
            ("<>", None),
            ("", None),
            ("joe", None),
            ("<\"john", None),
            ("<Postmaster>", None),
            ("<POSTMASTER>", None),
            ("<\"postmaster\">", None),
            ("postmaster", None),
            ("<postmaster@ours.example>", Some("postmaster@ours.example")),
        ] {
            let found = recipient(to.as_bytes());
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{to}");
        }
    }

    fn address() -> impl Strategy<Value = Vec<u8>> {
        let alphabet = prop::sample::select(b"ab1.@-_<>\"\\ :,[]=+\0\x7f\xc3\xbc\xff".to_vec());
        prop::collection::vec(alphabet, 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn the_short_way_is_the_long_way(text in address()) {
            if let Some(mailbox) = plain(&text) {
                prop_assert_eq!(careful(&text), Ok(mailbox));
            }
        }

        #[test]
        fn usual_addresses_take_the_short_way(text in "[a-z]{1,9}(\\.[a-z0-9]{1,9})?@[a-z]{1,9}(\\.[a-z0-9]{1,9}){1,3}") {
            prop_assert!(plain(text.as_bytes()).is_some());
        }

        #[test]
        fn brackets_make_no_difference(text in address()) {
            let bracketed = [b"<", &text[..], b">"].concat();
            if bare(&text) == text && Sender::parse(&text) != Sender::Cut {
                prop_assert_eq!(Sender::parse(&bracketed), Sender::parse(&text));
            }
        }

        #[test]
        fn no_bytes_disturb_it(bytes: Vec<u8>) {
            let _ = Sender::parse(&bytes);
            let _ = recipient(&bytes);
        }

        #[test]
        fn a_recipient_is_the_same_however_it_is_spelled(local in "[a-z]{1,9}", domain in "[a-z]{1,9}\\.[a-z]{2}") {
            let plain = format!("{local}@{domain}");
            for spelled in [format!("<{plain}>"), format!("<@r.example:{plain}.>"), format!("\"{local}\"@{domain}")] {
                let found = recipient(spelled.as_bytes());
                prop_assert_eq!(found.as_deref(), Some(plain.as_bytes()));
            }
        }
    }
}

//! Normalizes senders, so that two senders compare equal if they differ only in a tag for one recipient.
//!
//! In: a sender's mailbox and the recipient of its tuple. Out: bytes for comparison, which are appended.
//! `rules::senders` calls, for hosts with many tuples only.
//!
//! | tag | form | becomes | source |
//! |---|---|---|---|
//! | BATV | `prvs=TAG=loc`, `msprvs1=TAG=loc`, `btv1==TAG==loc` | `loc` | draft-levine-smtp-batv-01; SparkPost's and Barracuda's own |
//! | SRS | `SRS0=HASH=TT=dom=loc`, `SRS1=HASH=host==HASH=TT=dom=loc`, each first `=` also `-` or `+` | `loc` at `dom` | openspf.org/SRS, libsrs2 |
//! | VERP | the recipient within the local part, `@` as `=` or `_at_`, dots as one of `.*_=~-` | one token | cr.yp.to/proto/verp.txt, mailing lists |
//! | detail | `loc+tag` | `loc` | RFC 5233, 1 |
//! | counters | digits in a row, or four hexadecimal digits or more with a digit among them | one token | seen in mail |

use super::sender::{self, Mailbox};
use crate::name;

/// Replaces a tag; no mailbox contains this byte outside quotes.
const TOKEN: u8 = 0;

/// The longest recipient to search for: 64 octets, `@`, 255 octets (RFC 5321, 4.5.3.1), so that hostile
/// fields cannot make the search slow.
const RECIPIENT_MAX: usize = 320;

/// The longest vendor prefix of a tag.
const MAKER_MAX: usize = 4;

/// The maximum number of nested tags.
const WRAPPINGS: usize = 4;

/// Appends the normal form of a sender who writes to `to`.
pub(super) fn normal_form(from: &Mailbox<'_>, to: &[u8], out: &mut Vec<u8>) {
    let from = unwrap(*from);
    let (before, behind) = match find_recipient(from.local, sender::bare(to)) {
        Some((before, behind)) => (before, Some(behind)),
        None => (from.local, None),
    };
    match (memchr::memchr(b'+', before), behind) {
        // A detail follows a name.
        (Some(end @ 1..), _) => blur_counters(before.get(..end).unwrap_or(before), out),
        (_, None) => blur_counters(before, out),
        (_, Some(behind)) => {
            blur_counters(before, out);
            out.push(TOKEN);
            let end = memchr::memchr(b'+', behind).unwrap_or(behind.len());
            blur_counters(behind.get(..end).unwrap_or(behind), out);
        }
    }
    out.push(b'@');
    name::canonical(from.domain, out);
}

/// The mailbox inside BATV and SRS.
fn unwrap(mut mailbox: Mailbox<'_>) -> Mailbox<'_> {
    for _ in 0..WRAPPINGS {
        match batv(mailbox).or_else(|| srs(mailbox)) {
            Some(inner) => mailbox = inner,
            None => break,
        }
    }
    mailbox
}

fn batv(mailbox: Mailbox<'_>) -> Option<Mailbox<'_>> {
    let (kind, rest) = split_at_equals(mailbox.local)?;
    let local = match rest.strip_prefix(b"=") {
        Some(rest) => {
            is_tag(kind, b"btv").then_some(())?;
            let end = memchr::memmem::find(rest, b"==")?;
            rest.get(end..)?.get(2..)?
        }
        None => {
            is_tag(kind, b"prvs").then_some(())?;
            split_at_equals(rest)?.1
        }
    };
    (!local.is_empty()).then_some(Mailbox { local, ..mailbox })
}

/// Whether a tag is of this kind, by any vendor: letters may precede the name, and a version may follow it.
fn is_tag(kind: &[u8], name: &[u8]) -> bool {
    let end = kind.iter().rposition(|byte| !byte.is_ascii_digit());
    let bare = end.and_then(|end| kind.get(..=end)).unwrap_or_default();
    let start = bare.len().checked_sub(name.len()).and_then(|at| bare.split_at_checked(at));
    start.is_some_and(|(maker, end)| {
        maker.len() <= MAKER_MAX
            && maker.iter().all(u8::is_ascii_alphabetic)
            && end.eq_ignore_ascii_case(name)
    })
}

fn srs(mailbox: Mailbox<'_>) -> Option<Mailbox<'_>> {
    let rest = match after(mailbox.local, b"SRS0") {
        Some(rest) => rest,
        None => {
            let (_hash, rest) = split_at_equals(after_separator(after(mailbox.local, b"SRS1")?)?)?;
            split_at_equals(rest)?.1
        }
    };
    let (_hash, rest) = split_at_equals(after_separator(rest)?)?;
    let (_timestamp, rest) = split_at_equals(rest)?;
    let (domain, local) = split_at_equals(rest)?;
    (!domain.is_empty() && !local.is_empty()).then_some(Mailbox { local, domain })
}

/// `text` without `prefix`, ignoring case, which some forwarders change.
fn after<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn after_separator(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'=' | b'-' | b'+', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// The parts before and after the first `=`.
fn split_at_equals(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'=', text)?;
    Some((text.get(..end)?, text.get(end.checked_add(1)?..)?))
}

/// The parts of `local` before and after the recipient.
fn find_recipient<'a>(local: &'a [u8], recipient: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    memchr::memchr2(b'=', b'_', local)?;
    let at = memchr::memrchr(b'@', recipient).filter(|_| recipient.len() <= RECIPIENT_MAX)?;
    let (user, domain) = (recipient.get(..at)?, recipient.get(at.checked_add(1)?..)?);
    if user.is_empty() || domain.is_empty() {
        return None;
    }
    (0..local.len()).find_map(|start| {
        let (before, rest) = local.split_at_checked(start)?;
        let rest = after_encoded(rest, user)?;
        let rest = after(rest, b"=").or_else(|| after(rest, b"_at_"))?;
        Some((before, after_encoded(rest, domain)?))
    })
}

/// `text` without `part` at its beginning, ignoring case, and with other bytes for its dots.
fn after_encoded<'a>(text: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(part.len())?;
    let is_same = |(&have, &want): (&u8, &u8)| match want {
        b'.' => b".*_=~-".contains(&have),
        _ => have.eq_ignore_ascii_case(&want),
    };
    start.iter().zip(part).all(is_same).then_some(rest)
}

/// Appends `local` in lower case, with each counter replaced by a token.
fn blur_counters(local: &[u8], out: &mut Vec<u8>) {
    let mut rest = local;
    while let Some((before, digits)) = split_before(rest, u8::is_ascii_digit) {
        let is_other = |byte: &u8| !byte.is_ascii_hexdigit();
        let start = before.iter().rposition(is_other).map_or(0, |at| at.saturating_add(1));
        let (word, start) = before.split_at_checked(start).unwrap_or_default();
        let (end, behind) = split_before(digits, is_other).unwrap_or((digits, b""));
        name::lower(word, out);
        if start.len().saturating_add(end.len()) >= 4 {
            out.push(TOKEN);
        } else {
            name::lower(start, out);
            blur_digits(end, out);
        }
        rest = behind;
    }
    name::lower(rest, out);
}

/// Appends `text` in lower case, with each run of digits replaced by a token.
fn blur_digits(text: &[u8], out: &mut Vec<u8>) {
    let mut in_digits = false;
    for byte in text {
        let is_digit = byte.is_ascii_digit();
        if !(is_digit && in_digits) {
            out.push(if is_digit { TOKEN } else { byte.to_ascii_lowercase() });
        }
        in_digits = is_digit;
    }
}

/// `text` split before the first byte for which `is_one` is true.
fn split_before(text: &[u8], is_one: impl FnMut(&u8) -> bool) -> Option<(&[u8], &[u8])> {
    text.split_at_checked(text.iter().position(is_one)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::sender::Sender;
    use proptest::prelude::*;

    fn form(from: &str, to: &str) -> String {
        let Sender::Mailbox(mailbox) = Sender::parse(from.as_bytes()) else { panic!("{from}") };
        let mut out = b"before".to_vec();
        normal_form(&mailbox, to.as_bytes(), &mut out);
        String::from_utf8(out.split_off(6)).unwrap().replace('\0', "*")
    }

    #[test]
    fn tags_are_undone() {
        for (from, to, normal, source) in [
            ("<Joe@Example.com>", "", "joe@example.com", "case"),
            ("<prvs=0123abcdef=joe@example.com>", "", "joe@example.com", "BATV draft, 4"),
            ("<PRVS=9876fedcba=joe@example.com>", "", "joe@example.com", "BATV, case changed"),
            ("<btv1==123AbCdEf==joe@example.com>", "", "joe@example.com", "Barracuda"),
            ("<msprvs1=5Q63WYtYAxG6=joe@example.com>", "", "joe@example.com", "SparkPost"),
            ("<MSPRVS1=kq0zbtrvnwpl=joe@example.com>", "", "joe@example.com", "case changed"),
            ("<prvs2=0123abcdef=joe@example.com>", "", "joe@example.com", "a version"),
            ("<btv2==123AbCdEf==joe@example.com>", "", "joe@example.com", "the same"),
            ("<SRS0=HHH=TT=example.org=joe@fwd.example>", "", "joe@example.org", "SRS"),
            ("<SRS0+HHH=TT=example.org=joe@fwd.example>", "", "joe@example.org", "libsrs2, +"),
            ("<srs0-hhh=tt=example.org=joe@fwd.example>", "", "joe@example.org", "libsrs2, -"),
            (
                "<SRS1=GGG=fwd.example==HHH=TT=example.org=joe@next.example>",
                "",
                "joe@example.org",
                "SRS, guarded",
            ),
            (
                "<SRS1+GGG=fwd.example=-HHH=TT=example.org=joe@next.example>",
                "",
                "joe@example.org",
                "SRS, guarded, separators kept",
            ),
            (
                "<SRS0=HHH=TT=example.org=prvs=0123abcdef=joe@fwd.example>",
                "",
                "joe@example.org",
                "BATV in SRS",
            ),
            (
                "<list-return-joe=example.org@l.example>",
                "<joe@example.org>",
                "list-return-*@l.example",
                "ezmlm",
            ),
            (
                "<list-bounces+joe=example.org@l.example>",
                "<joe@example.org>",
                "list-bounces@l.example",
                "Mailman",
            ),
            (
                "<b-joe_at_example-org@l.example>",
                "<Joe@Example.org>",
                "b-*@l.example",
                "_at_, other dots",
            ),
            (
                "<b-j.r=ex_ample~org-1@l.example>",
                "<j.r@ex.ample.org>",
                "b-*-*@l.example",
                "dots as _ and ~",
            ),
            ("<b-j*r=a=org@l.example>", "<j.r@a.org>", "b-*@l.example", "dots as * and ="),
            ("<joe+news@example.com>", "", "joe@example.com", "RFC 5233"),
            ("<+joe@example.com>", "", "+joe@example.com", "nothing before the +"),
            ("<b-1234-56@example.com>", "", "b-*-*@example.com", "counters"),
            ("<b-0a1b2c-x@example.com>", "", "b-*-x@example.com", "hexadecimal"),
            ("<b-cafe-x@example.com>", "", "b-cafe-x@example.com", "a word"),
            ("<ab1@example.com>", "", "ab*@example.com", "too short for hexadecimal"),
            ("<x@XN--BCHER-KVA.example>", "", "x@bücher.example", "RFC 5890"),
        ] {
            assert_eq!(form(from, to), normal, "{from} -> {to} ({source})");
        }
    }

    #[test]
    fn what_only_looks_like_a_tag_stays() {
        for from in [
            "prvs=joe@example.com",
            "tracemyprvs=x=joe@example.com",
            "x-prvs=x=joe@example.com",
            "prvs=x=@example.com",
            "btv1==x=joe@example.com",
            "SRS@example.com",
            "srs0=a=b=c@example.com",
            "srs0=a=b==joe@example.com",
            "srs2=a=b=c.example=joe@example.com",
            "b-jim=example.org@l.example",
            "b-joe=example.net@l.example",
            "joe-example.org@l.example",
        ] {
            assert_eq!(
                form(from, "<joe@example.org>").replace('*', "0"),
                from.to_lowercase().replace("btv1", "btv0").replace("srs2", "srs0"),
                "{from}"
            );
        }
    }

    #[test]
    fn a_recipient_too_long_to_be_one_is_not_looked_for() {
        let domain = "x".repeat(RECIPIENT_MAX);
        let from = format!("joe={domain}@l.example");
        assert_eq!(form(&from, &format!("<joe@{domain}>")), from);
    }

    proptest! {
        #[test]
        fn every_recipient_of_a_verp_list_is_one_sender(user in "[a-z]{1,9}(\\.[a-z]{1,9})?", domain in "[a-z]{1,9}\\.[a-z]{2,3}", dot in "[.*_=~-]", at in "=|_at_") {
            let encoded = format!("{user}{at}{domain}").replace('.', &dot);
            let from = format!("<news-{encoded}@l.example>");
            prop_assert_eq!(form(&from, &format!("<{user}@{domain}>")), "news-*@l.example");
        }

        #[test]
        fn no_bytes_disturb_it(local: Vec<u8>, domain: Vec<u8>, to: Vec<u8>) {
            normal_form(&Mailbox { local: &local, domain: &domain }, &to, &mut Vec::new());
        }
    }
}

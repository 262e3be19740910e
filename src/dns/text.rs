//! TXT records: their text, and which of them are kept.
//!
//! Strangers fill them, up to 64 KB. A domain may have dozens for other purposes; only its SPF policies
//! matter, or a text that is alone (RFC 7208 6.2).
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::answer::List;

/// The number of texts of one name that are kept. Two policies are one too many (RFC 7208 4.5).
pub const MAX_TEXTS: usize = 2;
/// The number of octets that a text may have. Real policies have up to 2000; of a longer text one octet
/// more is kept, which shows that it is too long.
pub const MAX_TEXT: usize = 8192;

/// The texts of one name: policies first, then others.
#[derive(Debug, Default)]
pub(super) struct Texts {
    policies: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
    count: usize,
}

impl Texts {
    /// Adds a record's data; `None` if it has no proper strings (RFC 1035 3.3.14).
    pub fn add(&mut self, data: &[u8]) -> Option<()> {
        let text = joined(data)?;
        let kept = if is_policy(&text) { &mut self.policies } else { &mut self.others };
        if kept.len() < MAX_TEXTS {
            kept.push(text);
        }
        self.count = self.count.saturating_add(1);
        Some(())
    }

    /// Those that are kept.
    pub fn finish(self) -> List<Vec<u8>> {
        let items: Vec<_> = self.policies.into_iter().chain(self.others).take(MAX_TEXTS).collect();
        List { more: self.count > items.len(), items }
    }
}

/// Whether a text is meant to be an SPF policy (RFC 7208 4.5).
pub fn is_policy(text: &[u8]) -> bool {
    let (version, rest) = text.split_at_checked(6).unwrap_or_default();
    version.eq_ignore_ascii_case(b"v=spf1") && rest.first().is_none_or(|byte| *byte == b' ')
}

/// The strings without anything between them (RFC 7208 3.3). No string at all is an empty text.
fn joined(mut data: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    while let Some((&length, rest)) = data.split_first() {
        let (string, rest) = rest.split_at_checked(length.into())?;
        let room = MAX_TEXT.saturating_add(1).saturating_sub(text.len());
        text.extend_from_slice(string.get(..room).unwrap_or(string));
        data = rest;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(records: &[&[u8]]) -> Option<(Vec<Vec<u8>>, bool)> {
        let mut texts = Texts::default();
        for data in records {
            texts.add(data)?;
        }
        let List { items, more } = texts.finish();
        Some((items, more))
    }

    fn texts(items: &[&str]) -> Vec<Vec<u8>> {
        items.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn strings_are_joined_without_blanks() {
        assert_eq!(kept(&[b"\x06v=spf1\x02mx"]), Some((texts(&["v=spf1mx"]), false)));
        assert_eq!(kept(&[b""]), Some((texts(&[""]), false)));
        assert_eq!(kept(&[b"\0\0"]), Some((texts(&[""]), false)));
        assert_eq!(kept(&[b"\x07v=spf1"]), None, "a string that is cut off");
    }

    #[test]
    fn policies_are_kept_before_all_others() {
        let token = b"\x05token";
        let tokens = std::iter::repeat_n(&token[..], 100);
        let many: Vec<&[u8]> = tokens.chain([&b"\x0bv=SPF1 -all"[..]]).collect();
        assert_eq!(kept(&many), Some((texts(&["v=SPF1 -all", "token"]), true)));
        let three = [&b"\x06v=spf1"[..], b"\x05token", b"\x0bv=spf1 +all"];
        assert_eq!(kept(&three), Some((texts(&["v=spf1", "v=spf1 +all"]), true)));
    }

    #[test]
    fn a_policy_has_its_version_and_a_blank_or_nothing() {
        for (text, wanted) in
            [("v=spf1", true), ("V=sPf1 -all", true), ("v=spf10", false), ("v=spf", false)]
        {
            assert_eq!(is_policy(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn of_64_kilobytes_only_so_much_is_kept_that_it_shows() {
        let data = [&[255][..], &[b'a'; 255]].concat().repeat(255);
        let (items, _) = kept(&[&data]).unwrap();
        assert_eq!(items[0].len(), MAX_TEXT + 1);
    }
}

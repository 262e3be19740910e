//! Bytes that came from outside, made safe to print.
//!
//! HELO names and addresses are chosen by strangers. Whatever is shown of them (log lines, verdicts,
//! JSON, error messages) passes through [`escaped`]; only `greytrapctl list` prints them raw, since
//! spamdb(8) does. The form is that of vis(3) with `VIS_OCTAL | VIS_CSTYLE`'s cousins: printable ASCII
//! and well-formed, printable UTF-8 stay as they are, a backslash is doubled, every other byte becomes
//! a backslash and three octal digits.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Shows `bytes` with everything that could disturb a terminal or a log escaped.
pub fn escaped(bytes: &[u8]) -> Escaped<'_> {
    Escaped { bytes, backslash: Backslash::Doubled }
}

/// Shows a path the same way.
pub fn escaped_path(path: &Path) -> Escaped<'_> {
    escaped(path.as_os_str().as_bytes())
}

/// Shows `text` in which strangers' bytes are escaped already, if whoever sent it kept to that: a
/// backslash stays one, everything that could disturb a terminal is escaped all the same.
pub fn harmless(text: &str) -> Escaped<'_> {
    Escaped { bytes: text.as_bytes(), backslash: Backslash::Kept }
}

/// The result of [`escaped`]: bytes to be displayed.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    backslash: Backslash,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Backslash {
    Doubled,
    Kept,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            text(f, chunk.valid(), self.backslash)?;
            octal(f, chunk.invalid())?;
        }
        Ok(())
    }
}

/// Most of what is shown is harmless from end to end, and is written in one piece.
fn text(f: &mut fmt::Formatter<'_>, text: &str, backslash: Backslash) -> fmt::Result {
    let doubled = |c| c == '\\' && backslash == Backslash::Doubled;
    let mut rest = text;
    let mut chars = text.chars();
    while let Some(c) = chars.find(|c| doubled(*c) || !is_harmless(*c)) {
        let after = chars.as_str();
        let harmless = rest.len().saturating_sub(after.len()).saturating_sub(c.len_utf8());
        f.write_str(rest.get(..harmless).unwrap_or_default())?;
        match c {
            '\\' => f.write_str("\\\\")?,
            _ => octal(f, c.encode_utf8(&mut [0; 4]).as_bytes())?,
        }
        rest = after;
    }
    f.write_str(rest)
}

/// Graphic characters and the blank. Controls of either set, separators, and the invisible characters
/// that reorder or hide text (Unicode's Bidi_Control, zero width, tags) are not harmless.
fn is_harmless(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\0'..='\u{9f}' => false,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' => false,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => false,
        '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => false,
        _ => !c.is_control() && !c.is_whitespace(),
    }
}

fn octal(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "\\{b:03o}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        escaped(bytes).to_string()
    }

    #[test]
    fn graphic_text_stays() {
        assert_eq!(shown(b"<a b@example.com>"), "<a b@example.com>");
        assert_eq!(shown("<jörg@bücher.example>".as_bytes()), "<jörg@bücher.example>");
    }

    #[test]
    fn backslash_is_doubled_so_that_escapes_cannot_be_forged() {
        assert_eq!(shown(b"a\\033"), "a\\\\033");
    }

    #[test]
    fn controls_and_broken_utf8_become_octal() {
        assert_eq!(shown(b"\x1b[31m\r\n\t\x7f"), "\\033[31m\\015\\012\\011\\177");
        assert_eq!(shown(b"a\xff\xc3"), "a\\377\\303");
        assert_eq!(shown("\u{85}".as_bytes()), "\\302\\205");
    }

    #[test]
    fn harmless_text_around_escapes_stays_whole() {
        assert_eq!(shown("é\\b\u{1}c é\\".as_bytes()), "é\\\\b\\001c é\\\\");
        assert_eq!(shown(b"ab\x01\x02\xffcd"), "ab\\001\\002\\377cd");
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn text_that_turns_or_hides_becomes_octal() {
        assert_eq!(shown("\u{202e}moc".as_bytes()), "\\342\\200\\256moc");
        assert_eq!(shown("\u{200b}".as_bytes()), "\\342\\200\\213");
    }

    #[test]
    fn what_is_escaped_already_is_not_escaped_twice() {
        assert_eq!(harmless("a\\033 b\\\\").to_string(), "a\\033 b\\\\");
        assert_eq!(harmless("\x1b[2J\u{202e}\t").to_string(), "\\033[2J\\342\\200\\256\\011");
    }

    #[test]
    fn a_path_is_shown_like_any_bytes() {
        assert_eq!(escaped_path(Path::new("/var/db/\x1bspamd")).to_string(), "/var/db/\\033spamd");
    }
}

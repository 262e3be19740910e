//! Macros (RFC 7208 7). In: the text after `:` or `=` in a policy, or an explanation. Out: a [`Spec`], which
//! [`Spec::expand`] turns into bytes.
//!
//! Strangers choose the text and what it stands for. An expansion is made from its end, since a name that
//! is too long loses its beginning (RFC 7208 7.3), and stops when it is long enough.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::fault::Fault;

/// Text with macros, with correct syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Macro(Macro),
}

/// `%{…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Macro {
    letter: Letter,
    /// Whether the letter is a capital: the result is escaped as in a URL.
    is_escaped: bool,
    /// How many parts are kept, from the right; 0 stands for all.
    parts: usize,
    is_reversed: bool,
    /// What separates parts; none stands for the dot.
    delimiters: Vec<u8>,
}

/// What a macro stands for (RFC 7208 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// `s`: the sender.
    Sender,
    /// `l`: its local part.
    Local,
    /// `o`: its domain.
    SenderDomain,
    /// `d`: the domain whose policy this is.
    Domain,
    /// `i`: the address, in dotted form.
    Address,
    /// `p`: the host's name, if its address is that of the host.
    HostName,
    /// `v`: `in-addr` or `ip6`.
    Version,
    /// `h`: the HELO name.
    Helo,
    /// `c`: the address, in readable form.
    ReadableAddress,
    /// `r`: the host that asks.
    Receiver,
    /// `t`: the time.
    Time,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a policy, where a name is meant.
    Name,
    /// In a modifier that nobody knows.
    Modifier,
    /// In an explanation: blanks and three more letters are allowed.
    Explanation,
}

impl Spec {
    /// The name after `:` or `=` (RFC 7208 7.1, `domain-spec`).
    ///
    /// # Errors
    /// Its syntax is wrong.
    pub fn name(text: &[u8]) -> Result<Self, Fault> {
        let spec = Self::parse(text, Place::Name)?;
        if spec.ends_properly() { Ok(spec) } else { Err(Fault::Name) }
    }

    /// Any other text (RFC 7208 7.1, `macro-string` or `explain-string`).
    ///
    /// # Errors
    /// Its syntax is wrong.
    pub fn parse(mut text: &[u8], place: Place) -> Result<Self, Fault> {
        let mut pieces = Vec::new();
        while let Some((&byte, rest)) = text.split_first() {
            let (piece, rest) = match byte {
                b'%' => escape(rest, place)?,
                0x21..=0x7e => literal(text, place),
                b' ' if place == Place::Explanation => literal(text, place),
                _ => return Err(Fault::Character),
            };
            pieces.push(piece);
            text = rest;
        }
        Ok(Self(pieces))
    }

    /// Whether it has one of these letters.
    pub fn has(&self, letters: &[Letter]) -> bool {
        self.0.iter().any(|piece| match piece {
            Piece::Macro(one) => letters.contains(&one.letter),
            Piece::Literal(_) => false,
        })
    }

    /// The text with `value` in place of the macros: all of it, or so much of its end that it has more than
    /// `most` octets.
    ///
    /// # Errors
    /// Those of `value`.
    pub fn expand<E>(
        &self,
        most: usize,
        mut value: impl FnMut(Letter) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let (mut chunks, mut length) = (Vec::new(), 0_usize);
        for piece in self.0.iter().rev() {
            let chunk = match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Macro(one) => one.transform(&value(one.letter)?),
            };
            length = length.saturating_add(chunk.len());
            chunks.push(chunk);
            if length > most {
                break;
            }
        }
        chunks.reverse();
        Ok(chunks.concat())
    }

    /// Whether its end is a macro, or a dot and a top-level label (RFC 7208 7.1, `domain-end`).
    fn ends_properly(&self) -> bool {
        let Some(Piece::Literal(text)) = self.0.last() else { return !self.0.is_empty() };
        if matches!(text.as_slice(), b"%" | b" " | b"%20") {
            return true;
        }
        let text = text.strip_suffix(b".").unwrap_or(text);
        let mut labels = text.rsplitn(2, |byte| *byte == b'.');
        let top = labels.next().unwrap_or_default();
        labels.next().is_some() && is_top_label(top)
    }
}

/// RFC 7208 7.1, `toplabel`: letters, digits and inner hyphens, not digits alone.
fn is_top_label(label: &[u8]) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let is_outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    label.iter().all(is_inner)
        && is_outer(label.first())
        && is_outer(label.last())
        && !label.iter().all(u8::is_ascii_digit)
}

/// Text up to the next `%`, and the rest.
fn literal(text: &[u8], place: Place) -> (Piece, &[u8]) {
    let is_plain = |byte: &u8| match byte {
        b'%' => false,
        b' ' => place == Place::Explanation,
        byte => matches!(byte, 0x21..=0x7e),
    };
    let length = text.iter().position(|byte| !is_plain(byte)).unwrap_or(text.len());
    let (literal, rest) = text.split_at_checked(length).unwrap_or_default();
    (Piece::Literal(literal.to_vec()), rest)
}

/// What stands after `%`, and the rest.
fn escape(text: &[u8], place: Place) -> Result<(Piece, &[u8]), Fault> {
    let (kind, rest) = text.split_first().ok_or(Fault::Macro)?;
    let literal = match kind {
        b'%' => &b"%"[..],
        b'_' => b" ",
        b'-' => b"%20",
        b'{' => {
            let end = rest.iter().position(|byte| *byte == b'}').ok_or(Fault::Macro)?;
            let (inner, rest) = rest.split_at_checked(end).ok_or(Fault::Macro)?;
            let one = Macro::parse(inner, place)?;
            return Ok((Piece::Macro(one), rest.get(1..).unwrap_or_default()));
        }
        _ => return Err(Fault::Macro),
    };
    Ok((Piece::Literal(literal.to_vec()), rest))
}

impl Macro {
    /// A letter, digits, `r`, delimiters (RFC 7208 7.1).
    fn parse(text: &[u8], place: Place) -> Result<Self, Fault> {
        let (&letter, rest) = text.split_first().ok_or(Fault::Macro)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = rest.split_at_checked(digits).unwrap_or_default();
        let is_reversed = matches!(rest.first(), Some(b'r' | b'R'));
        let delimiters = rest.get(usize::from(is_reversed)..).unwrap_or_default();
        if !delimiters.iter().all(|byte| b".-+,/_=".contains(byte)) {
            return Err(Fault::Macro);
        }
        Ok(Self {
            letter: Letter::of(letter, place).ok_or(Fault::Macro)?,
            is_escaped: letter.is_ascii_uppercase(),
            parts: parts(number)?,
            is_reversed,
            delimiters: delimiters.to_vec(),
        })
    }

    /// Splits, reverses, shortens and escapes (RFC 7208 7.3).
    fn transform(&self, value: &[u8]) -> Vec<u8> {
        let is_delimiter = |byte: &u8| match self.delimiters.as_slice() {
            [] => *byte == b'.',
            delimiters => delimiters.contains(byte),
        };
        let mut parts: Vec<_> = value.split(is_delimiter).collect();
        if self.is_reversed {
            parts.reverse();
        }
        let surplus = match self.parts {
            0 => 0,
            wanted => parts.len().saturating_sub(wanted),
        };
        let text = parts.get(surplus..).unwrap_or_default().join(&b'.');
        if self.is_escaped { escaped(&text) } else { text }
    }
}

/// The number of parts, which is not 0 (RFC 7208 7.3). More than a name can have is as good as all.
fn parts(digits: &[u8]) -> Result<usize, Fault> {
    let add = |number: usize, digit: &u8| {
        number.saturating_mul(10).saturating_add(usize::from(digit.saturating_sub(b'0')))
    };
    match digits.iter().fold(0, add) {
        0 if !digits.is_empty() => Err(Fault::Macro),
        number => Ok(number),
    }
}

/// All octets but those that RFC 3986 2.3 does not reserve become `%` and two digits.
fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(*byte),
            byte if byte.is_ascii_alphanumeric() => out.push(*byte),
            byte => out.extend(format!("%{byte:02X}").into_bytes()),
        }
    }
    out
}

impl Letter {
    fn of(letter: u8, place: Place) -> Option<Self> {
        Some(match letter.to_ascii_lowercase() {
            b's' => Self::Sender,
            b'l' => Self::Local,
            b'o' => Self::SenderDomain,
            b'd' => Self::Domain,
            b'i' => Self::Address,
            b'p' => Self::HostName,
            b'v' => Self::Version,
            b'h' => Self::Helo,
            b'c' if place == Place::Explanation => Self::ReadableAddress,
            b'r' if place == Place::Explanation => Self::Receiver,
            b't' if place == Place::Explanation => Self::Time,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// The values in the examples of RFC 7208 7.4.
    fn value(letter: Letter) -> Result<Vec<u8>, Infallible> {
        Ok(match letter {
            Letter::Sender => "strong-bad@email.example.com",
            Letter::Local => "strong-bad",
            Letter::SenderDomain | Letter::Domain => "email.example.com",
            Letter::Address => "192.0.2.3",
            Letter::HostName => "mx.example.org",
            Letter::Version => "in-addr",
            Letter::Helo => "mail example",
            Letter::ReadableAddress => "192.0.2.3",
            Letter::Receiver | Letter::Time => "unknown",
        }
        .into())
    }

    fn expanded(text: &str) -> Result<String, Fault> {
        let spec = Spec::parse(text.as_bytes(), Place::Name)?;
        let Ok(bytes) = spec.expand(usize::MAX, value);
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_examples_of_rfc_7208_7_4() {
        for (text, wanted) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%%%_%-", "% %20"),
            ("%{H}", "mail%20example"),
            ("%{d99999999999999999999}", "email.example.com"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_macro_is_refused() {
        for text in
            ["%", "%a", "%(i)", "%{", "%{}", "%{i", "%{x}", "%{c}", "%{d0}", "%{dr2}", "%{d!}"]
        {
            assert_eq!(expanded(text), Err(Fault::Macro), "{text}");
        }
        for text in ["a b", "a\tb", "a\u{e9}", "a\0"] {
            assert_eq!(expanded(text), Err(Fault::Character), "{text}");
        }
        assert!(Spec::parse(b"from %{c} to %{r}", Place::Explanation).is_ok());
    }

    #[test]
    fn names_end_in_a_macro_or_a_top_level_label() {
        for name in ["a.example", "a.example.", ".com", "a.xn--zckzah", "%{d}", "x%%", "%{i}.a1"] {
            assert!(Spec::name(name.as_bytes()).is_ok(), "{name}");
        }
        for name in [
            "", "museum", "museum.", "a.123", "a.-com", "a.com-", "a..", "%{d}com", "a.c/24", "a:b",
        ] {
            assert_eq!(Spec::name(name.as_bytes()), Err(Fault::Name), "{name}");
        }
    }

    /// 8 KB of `%{s}` for a sender of 1 KB: no more is made than is needed.
    #[test]
    fn a_bomb_stops_early() {
        let spec = Spec::parse(&b"%{s}".repeat(2000), Place::Name).unwrap();
        let mut asked = 0;
        let Ok(bytes) = spec.expand(253, |_| {
            asked += 1;
            Ok::<_, Infallible>(vec![b'a'; 1000])
        });
        assert_eq!((asked, bytes.len()), (1, 1000));
    }

    proptest! {
        #[test]
        fn no_bytes_disturb_it(text: Vec<u8>) {
            for place in [Place::Name, Place::Modifier, Place::Explanation] {
                if let Ok(spec) = Spec::parse(&text, place) {
                    let Ok(_) = spec.expand(253, value);
                }
            }
        }

        #[test]
        fn nor_do_letters_and_numbers(text in "(%\\{[a-zA-Z][0-9]{0,3}r?[.+,/_=-]{0,3}\\}|[ -~]){0,9}") {
            if let Ok(spec) = Spec::name(text.as_bytes()) {
                let Ok(_) = spec.expand(253, value);
            }
        }
    }
}

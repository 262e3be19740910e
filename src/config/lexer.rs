//! Splits the text of a configuration into tokens, each with its place.
//!
//! In: the bytes of a file, or of the value of a macro. Out: words, quoted strings, names of macros and the
//! few signs of the grammar, one at a time, for `cursor`. The bytes are not trusted: time and memory are
//! linear in their number.
//!
//! Within quotes `\"` is a quote and `\\` a backslash; a backslash before any other character stands for
//! itself, so that backslashes in regular expressions need not be doubled. A backslash at the end of a line
//! joins it to the next.

use super::diagnostic::{At, Fault, Spanned};
use super::problem::Problem;
use std::net::IpAddr;

/// The smallest part of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Unquoted: a keyword, a number, an address, a name.
    Word(String),
    /// Quoted: text only, never a keyword.
    Text(String),
    /// `$name`.
    Macro(String),
    Open,
    Close,
    Comma,
    Equals,
    Newline,
    End,
}

impl Token {
    /// The token as messages name it.
    pub(super) fn name(&self) -> String {
        match self {
            Token::Word(text) | Token::Text(text) => super::problem::quoted(text),
            Token::Macro(name) => super::problem::quoted(&format!("${name}")),
            Token::Open => "\"{\"".into(),
            Token::Close => "\"}\"".into(),
            Token::Comma => "\",\"".into(),
            Token::Equals => "\"=\"".into(),
            Token::Newline => "the end of the line".into(),
            Token::End => "the end of the file".into(),
        }
    }
}

/// The longest word or string, in bytes: the size of the buffer in OpenBSD's parse.y.
pub(super) const MAX_STRING: usize = 8096;

/// The state of a text that is being split.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    rest: &'t [u8],
    at: At,
    /// Whether this is the text of a macro; all its tokens then have the place where the macro is used.
    is_expansion: bool,
}

impl<'t> Lexer<'t> {
    /// Reads the text of file number `file`.
    pub(super) fn new(text: &'t [u8], file: usize) -> Self {
        Lexer { rest: text, at: At::start(file), is_expansion: false }
    }

    /// Reads the value of a macro that is used at `at`.
    pub(super) fn expansion(value: &'t str, at: At) -> Self {
        Lexer { rest: value.as_bytes(), at, is_expansion: true }
    }

    /// The next token; at the end, `End` each time. After a fault, reading continues after the faulty text.
    pub(super) fn token(&mut self) -> Result<Spanned<Token>, Fault> {
        self.skip_blanks();
        let at = self.at;
        let Some(&first) = self.rest.first() else {
            return Ok(Spanned { value: Token::End, at });
        };
        let value = match first {
            b'\n' => self.sign(Token::Newline),
            b'{' => self.sign(Token::Open),
            b'}' => self.sign(Token::Close),
            b',' => self.sign(Token::Comma),
            b'=' => self.sign(Token::Equals),
            b'"' => Token::Text(self.quoted(at)?),
            b'$' => Token::Macro(self.macro_name(at)?),
            b if is_word(b) => Token::Word(self.word(at)?),
            _ => return Err(self.stray(at)),
        };
        Ok(Spanned { value, at })
    }

    fn bump(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        if self.is_expansion {
            return Some(byte);
        }
        if byte == b'\n' {
            self.at.line = self.at.line.saturating_add(1);
            self.at.column = 1;
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(byte)
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.bump();
        }
    }

    fn sign(&mut self, token: Token) -> Token {
        self.bump();
        token
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.rest {
                [b' ' | b'\t', ..] => self.skip(1),
                [b'\r'] | [b'\r', b'\n', ..] => self.skip(1),
                [b'\\', b'\n', ..] => self.skip(2),
                [b'\\', b'\r', b'\n', ..] => self.skip(3),
                [b'#', rest @ ..] => {
                    self.skip(memchr::memchr(b'\n', rest).unwrap_or(rest.len()).saturating_add(1))
                }
                _ => return,
            }
        }
    }

    fn word(&mut self, at: At) -> Result<String, Fault> {
        let length = self.rest.iter().take_while(|&&b| is_word(b)).count();
        let (bytes, behind) = self.rest.split_at_checked(length).unwrap_or_default();
        if behind.starts_with(b"#") && is_address(bytes) {
            return Err(self.glued(at));
        }
        self.skip(length);
        text(bytes.to_vec(), at)
    }

    /// Skips an address and the text that follows it after a hash mark: unbound and others put a port
    /// there.
    fn glued(&mut self, at: At) -> Fault {
        let length = self.rest.iter().take_while(|b| !b.is_ascii_whitespace()).count();
        let bytes = self.rest.get(..length).unwrap_or_default();
        let written = String::from_utf8_lossy(bytes).into_owned();
        self.skip(length);
        Fault::new(at, Problem::HashMark(written))
    }

    fn macro_name(&mut self, at: At) -> Result<String, Fault> {
        self.bump();
        let length = self.rest.iter().take_while(|&&b| is_name(b)).count();
        let bytes = self.rest.get(..length).unwrap_or_default();
        self.skip(length);
        if bytes.is_empty() {
            return Err(Fault::new(at, Problem::NamelessMacro));
        }
        text(bytes.to_vec(), at)
    }

    fn quoted(&mut self, at: At) -> Result<String, Fault> {
        self.bump();
        let mut bytes = Vec::new();
        loop {
            match self.rest {
                [b'"', ..] => {
                    self.bump();
                    return text(bytes, at);
                }
                [b'\\', b'\n', ..] => self.skip(2),
                [b'\\', b'\r', b'\n', ..] => self.skip(3),
                [b'\\', escaped @ (b'"' | b'\\'), ..] => {
                    bytes.push(*escaped);
                    self.skip(2);
                }
                [] | [b'\n', ..] => return Err(Fault::new(at, Problem::StringNotClosed)),
                [byte, ..] => {
                    bytes.push(*byte);
                    self.bump();
                }
            }
        }
    }

    /// Skips a character that is not allowed here.
    fn stray(&mut self, at: At) -> Fault {
        let head = self.rest.get(..4).unwrap_or(self.rest);
        let chunk = head.utf8_chunks().next();
        let length = chunk.and_then(|c| c.valid().chars().next()).map_or(1, char::len_utf8);
        let shown = match self.rest.get(..length).map(str::from_utf8) {
            Some(Ok(character)) => character.to_string(),
            _ => return self.stray_byte(at),
        };
        self.skip(length);
        Fault::new(at, Problem::StrayCharacter(shown))
    }

    fn stray_byte(&mut self, at: At) -> Fault {
        self.bump();
        Fault::new(at, Problem::NotUtf8)
    }
}

/// Whether a byte may be part of a word without quotes: enough for keywords, numbers, addresses, host names
/// and paths.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-:/@%+*!~".contains(&byte)
}

/// Whether a word begins with an address or a network.
fn is_address(word: &[u8]) -> bool {
    let word = str::from_utf8(word).unwrap_or_default();
    word.split('/').next().is_some_and(|address| address.parse::<IpAddr>().is_ok())
}

/// Whether a byte may be part of a macro's name.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn text(bytes: Vec<u8>, at: At) -> Result<String, Fault> {
    if bytes.len() > MAX_STRING {
        return Err(Fault::new(at, Problem::TooLong { limit: MAX_STRING }));
    }
    let text = String::from_utf8(bytes).map_err(|_| Fault::new(at, Problem::NotUtf8))?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Fault::new(at, Problem::ControlCharacter));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(input: &[u8]) -> Vec<Token> {
        let mut lexer = Lexer::new(input, 0);
        let mut tokens = Vec::new();
        loop {
            match lexer.token().unwrap().value {
                Token::End => return tokens,
                token => tokens.push(token),
            }
        }
    }

    fn string(input: &str) -> String {
        match tokens(input.as_bytes()).as_slice() {
            [Token::Text(text)] => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn fault(input: &[u8]) -> (u32, u32, String) {
        let mut lexer = Lexer::new(input, 0);
        loop {
            match lexer.token() {
                Ok(Spanned { value: Token::End, .. }) => panic!("no fault"),
                Ok(_) => {}
                Err(fault) => return (fault.at.line, fault.at.column, fault.problem.to_string()),
            }
        }
    }

    #[test]
    fn words_signs_and_comments() {
        assert_eq!(
            tokens(b"allow { 2001:db8::/32,$x } # rest\nname=\"v\""),
            [
                Token::Word("allow".into()),
                Token::Open,
                Token::Word("2001:db8::/32".into()),
                Token::Comma,
                Token::Macro("x".into()),
                Token::Close,
                Token::Newline,
                Token::Word("name".into()),
                Token::Equals,
                Token::Text("v".into()),
            ]
        );
    }

    #[test]
    fn backslashes_in_strings() {
        assert_eq!(string(r#""@old\.example\.com$""#), r"@old\.example\.com$");
        assert_eq!(string(r#""say \"no\"""#), r#"say "no""#);
        assert_eq!(string(r#""a\\""#), r"a\");
        assert_eq!(string(r#""a\\\"b""#), r#"a\"b"#);
        assert_eq!(string("\"one \\\n two\""), "one  two");
        assert_eq!(string("\"one \\\r\n two\""), "one  two");
        assert_eq!(string("\"# no comment\""), "# no comment");
    }

    #[test]
    fn a_continued_line_is_one_line() {
        assert_eq!(
            tokens(b"scan \\\n\tevery \\\r\n10m\r\n"),
            [
                Token::Word("scan".into()),
                Token::Word("every".into()),
                Token::Word("10m".into()),
                Token::Newline
            ]
        );
    }

    #[test]
    fn comments_may_hold_anything_but_a_newline() {
        assert_eq!(tokens(b"# f\xfcr \0 \"open \\\nx"), [Token::Newline, Token::Word("x".into())]);
        assert_eq!(tokens(b"#"), []);
    }

    #[test]
    fn places_count_lines_and_bytes() {
        let mut lexer = Lexer::new(b"a\n  \"b\" \\\n c", 7);
        let places: Vec<_> = (0..5)
            .map(|_| lexer.token().unwrap().at)
            .map(|at| (at.file, at.line, at.column))
            .collect();
        assert_eq!(places, [(7, 1, 1), (7, 1, 2), (7, 2, 3), (7, 3, 2), (7, 3, 3)]);
    }

    #[test]
    fn faults_name_the_place_and_the_reason() {
        let closed = "string is not closed on the same line";
        assert_eq!(fault(b"a \"b\nc\""), (1, 3, closed.into()));
        assert_eq!(fault(b"\"b"), (1, 1, closed.into()));
        assert_eq!(fault(b"\"b\\"), (1, 1, closed.into()));
        assert_eq!(fault(b"a\n$ b"), (2, 1, "expected a macro's name after \"$\"".into()));
        assert_eq!(fault(b"\"\xff\""), (1, 1, "text is not UTF-8".into()));
        assert_eq!(fault(b" \xff"), (1, 2, "text is not UTF-8".into()));
        assert_eq!(fault(b"\"\x1b\""), (1, 1, "control character in a string".into()));
        assert_eq!(
            fault("é".as_bytes()),
            (1, 1, "unexpected character \"é\": quote the text".into())
        );
        assert_eq!(fault(b"\0"), (1, 1, "unexpected character \"\\000\": quote the text".into()));
        assert_eq!(fault(b"a\\b"), (1, 2, "unexpected character \"\\\\\": quote the text".into()));
        assert_eq!(fault(&[b'a'; 8097]), (1, 1, "text is longer than 8096 bytes".into()));
        assert_eq!(fault(b"a\rb"), (1, 2, "unexpected character \"\\015\": quote the text".into()));
    }

    #[test]
    fn reading_goes_on_behind_a_fault() {
        let mut lexer = Lexer::new(b"\"open\nnext", 0);
        assert!(lexer.token().is_err());
        assert_eq!(lexer.token().unwrap().value, Token::Newline);
        assert_eq!(lexer.token().unwrap().value, Token::Word("next".into()));
    }
}

//! Reads the settings in a Perl program without running it.
//!
//! In: the text of a program or of its configuration. Out: the scalars and arrays that it sets to literals
//! before its first `sub`. Whatever would have to be computed is reported as such. The text is not trusted.
//!
//! Literals are numbers and products of them, strings in all quotes of perlop(1), and lists of both. In double
//! quotes a backslash goes away before every character that it does not make special, as in Perl.
#![forbid(unsafe_code)]

use std::iter::Peekable;
use std::str::Chars;

/// A value set by `$name = …;` or `@name = …;`.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The number of its line, from 1.
    pub line: usize,
    /// The name with its sign.
    pub name: String,
    /// The literals, or nothing if they would have to be computed.
    pub values: Option<Vec<String>>,
}

/// The settings in `program`.
pub fn settings(program: &str) -> Vec<Setting> {
    let mut reader = Reader { rest: program.chars().peekable(), line: 1 };
    let mut settings = Vec::new();
    while let Some(next) = reader.rest.peek().copied() {
        match next {
            '$' | '@' => settings.extend(reader.setting()),
            '\'' | '"' => drop(reader.string()),
            '_' | 'a'..='z' | 'A'..='Z' => {
                if matches!(reader.word().as_str(), "sub" | "__END__" | "__DATA__") {
                    break;
                }
            }
            _ => reader.skip(),
        }
    }
    settings
}

struct Reader<'p> {
    rest: Peekable<Chars<'p>>,
    line: usize,
}

/// A value that would have to be computed.
struct Computed;

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// Skips a character, or a comment.
    fn skip(&mut self) {
        if self.next() == Some('#') {
            while self.rest.peek().is_some_and(|next| *next != '\n') {
                self.next();
            }
        }
    }

    /// Skips blanks and comments.
    fn blanks(&mut self) {
        while self.rest.peek().is_some_and(|next| next.is_whitespace() || *next == '#') {
            self.skip();
        }
    }

    fn takes(&mut self, wanted: char) -> bool {
        let takes = self.rest.peek() == Some(&wanted);
        if takes {
            self.next();
        }
        takes
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(next) = self.rest.peek().filter(|next| is_of_word(**next)) {
            word.push(*next);
            self.next();
        }
        word
    }

    /// What begins with the sign of a variable, if that is set here.
    fn setting(&mut self) -> Option<Setting> {
        let line = self.line;
        let mut name: String = self.next().into_iter().collect();
        name.push_str(&self.word());
        self.blanks();
        // `==`, `=~` and `=>` set nothing.
        if !self.takes('=') || self.rest.peek().is_some_and(|next| "=~>".contains(*next)) {
            return None;
        }
        let mut values = Vec::new();
        let read = self.values(&mut values);
        self.blanks();
        let is_whole = read.is_ok() && matches!(self.rest.peek(), None | Some(';'));
        Some(Setting { line, name, values: is_whole.then_some(values) })
    }

    /// One value, or a list of values.
    fn values(&mut self, values: &mut Vec<String>) -> Result<(), Computed> {
        self.blanks();
        if !self.takes('(') {
            return self.value(values);
        }
        loop {
            self.blanks();
            if self.takes(')') {
                return Ok(());
            }
            self.value(values)?;
            self.blanks();
            if !self.takes(',') && self.rest.peek() != Some(&')') {
                return Err(Computed);
            }
        }
    }

    fn value(&mut self, values: &mut Vec<String>) -> Result<(), Computed> {
        match self.rest.peek() {
            Some('"' | '\'') => values.push(self.string()?),
            Some('0'..='9' | '.' | '-') => values.push(self.number()?),
            Some(next) if is_of_word(*next) => match self.word().as_str() {
                "undef" => {}
                "qw" => {
                    let words = self.quoted(|c| Ok(['\\', c].to_vec()), false)?;
                    values.extend(words.split_whitespace().map(String::from));
                }
                "q" => values.push(self.quoted(verbatim, false)?),
                "qq" => values.push(self.quoted(interpreted, true)?),
                "qr" => {
                    let pattern = self.quoted(|c| Ok(['\\', c].to_vec()), true)?;
                    // Case never matters here; the other flags would be another pattern.
                    let flags = self.word();
                    if !flags.chars().all(|flag| flag == 'i') {
                        return Err(Computed);
                    }
                    values.push(pattern);
                }
                _ => return Err(Computed),
            },
            _ => return Err(Computed),
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, Computed> {
        match self.rest.peek() {
            Some('"') => self.quoted(interpreted, true),
            _ => self.quoted(verbatim, false),
        }
    }

    /// What stands between the next character and the one that closes it.
    fn quoted(
        &mut self,
        escape: fn(char) -> Result<Vec<char>, Computed>,
        has_variables: bool,
    ) -> Result<String, Computed> {
        self.blanks();
        let open = self.next().ok_or(Computed)?;
        let close = match open {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            '<' => '>',
            other => other,
        };
        let (mut text, mut depth, mut is_literal) = (String::new(), 0_usize, true);
        loop {
            match self.next().ok_or(Computed)? {
                '\\' => {
                    let next = self.next().ok_or(Computed)?;
                    if next == open || next == close {
                        text.push(next);
                        continue;
                    }
                    match escape(next) {
                        Ok(characters) => text.extend(characters),
                        Err(Computed) => is_literal = false,
                    }
                }
                end if end == close && depth == 0 => break,
                next => {
                    depth += usize::from(next == open && open != close);
                    depth -= usize::from(next == close && open != close);
                    let before =
                        self.rest.peek().is_some_and(|after| is_of_word(*after) || *after == '{');
                    is_literal &= !(has_variables && "$@".contains(next) && before);
                    text.push(next);
                }
            }
        }
        if is_literal { Ok(text) } else { Err(Computed) }
    }

    /// A number, or a product of whole numbers.
    fn number(&mut self) -> Result<String, Computed> {
        let mut number = self.digits();
        self.blanks();
        while self.takes('*') {
            self.blanks();
            let factors = [number.parse::<u64>(), self.digits().parse::<u64>()];
            let [Ok(left), Ok(right)] = factors else { return Err(Computed) };
            number = left.checked_mul(right).ok_or(Computed)?.to_string();
            self.blanks();
        }
        if number.parse::<f64>().is_ok() { Ok(number) } else { Err(Computed) }
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(next) = self.rest.peek().filter(|next| "0123456789._-".contains(**next)) {
            digits.extend(Some(*next).filter(|next| *next != '_'));
            self.next();
        }
        digits
    }
}

fn is_of_word(character: char) -> bool {
    character == '_' || character == ':' || character.is_ascii_alphanumeric()
}

/// A backslash in single quotes: it stays, except before another one.
fn verbatim(next: char) -> Result<Vec<char>, Computed> {
    Ok(if next == '\\' { vec!['\\'] } else { vec!['\\', next] })
}

/// A backslash in double quotes. Characters by number, and changes of case, have to be computed.
fn interpreted(next: char) -> Result<Vec<char>, Computed> {
    Ok(vec![match next {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'x'
        | 'N'
        | 'c'
        | 'u'
        | 'l'
        | 'U'
        | 'L'
        | 'Q'
        | 'E'
        | 'F'
        | 'a'
        | 'b'
        | 'e'
        | 'f'
        | '0'..='9' => {
            return Err(Computed);
        }
        other => other,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(program: &str) -> Vec<(String, Option<Vec<String>>)> {
        settings(program).into_iter().map(|setting| (setting.name, setting.values)).collect()
    }

    fn one(value: &str) -> Option<Vec<String>> {
        read(&format!("$X = {value};")).remove(0).1
    }

    /// As perl(1) prints them.
    #[test]
    fn literals_are_what_perl_makes_of_them() {
        let rows = [
            ("600", "600"),
            ("1_000", "1000"),
            ("10 * 60", "600"),
            ("0.75", "0.75"),
            (r#""\@old.example\.com\$""#, "@old.example.com$"),
            (r"'\@old.example\.com$'", r"\@old.example\.com$"),
            (r"'it\'s \\ here'", r"it's \ here"),
            (r#""tab\there \"x\"""#, "tab\there \"x\""),
            (r"q{a{b}c}", "a{b}c"),
            (r"qq(a\@b)", "a@b"),
            (r"qr/^abuse\@x\.org$/i", r"^abuse\@x\.org$"),
            (r"qr{^a/b$}", "^a/b$"),
        ];
        for (value, expected) in rows {
            assert_eq!(one(value), Some(vec![expected.to_owned()]), "{value}");
        }
    }

    #[test]
    fn what_must_be_computed_is_not_guessed() {
        for value in [
            r#""$base/check""#,
            r#""x\@$domain\$""#,
            r#""@names""#,
            "shift",
            "60 + $n",
            r#""a" . "b""#,
            r#""\x41""#,
            "qr/a b/x",
            "\"never closed",
            "99999999999 * 99999999999",
        ] {
            assert_eq!(one(value), None, "{value}");
        }
        assert_eq!(one("undef"), Some(Vec::new()));
    }

    #[test]
    fn lists_have_any_layout() {
        let program = "
            # @BADRERCPT = ('not this one');
            my @BADRERCPT = (   # why
                \"\\@one.example\\$\", # $X = 1;
                'two',
            );
            our @MORE = qw( three four );
            @NONE = ();
            if ($X == 3) { $Y =~ /$Z = 4;/ }
            sub f { $INSIDE = 5; }
            $AFTER = 6;
        ";
        let texts = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(
            read(program)[..3],
            [
                ("@BADRERCPT".to_owned(), texts(&["@one.example$", "two"])),
                ("@MORE".to_owned(), texts(&["three", "four"])),
                ("@NONE".to_owned(), texts(&[])),
            ]
        );
        assert!(!read(program).iter().any(|(name, _)| name == "$INSIDE" || name == "$AFTER"));
    }

    #[test]
    fn a_setting_knows_its_line() {
        let found = settings("\n# one\n$A = 'x\ny';\n$B = 1;");
        assert_eq!(found.iter().map(|setting| setting.line).collect::<Vec<_>>(), [3, 5]);
    }
}

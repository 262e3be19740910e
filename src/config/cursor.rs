//! Hands tokens to the grammar: it can look ahead or expect a certain token, and macros are expanded.
//!
//! In: tokens of one file from `lexer`, values of macros from `macros`. Out: what `parse` asks for, or a
//! fault that names what was expected and what was found.
//!
//! A macro stands for its text. Where a string is expected, that is the whole text as one string, with
//! blanks and backslashes; elsewhere it is the words and signs in the text.

use super::diagnostic::{At, Fault, Spanned};
use super::keyword::{listed, lookup, nearest};
use super::lexer::{Lexer, MAX_STRING, Token};
use super::macros::Macros;
use super::problem::Problem;

/// A place in the tokens of one file.
pub(super) struct Cursor<'t> {
    lexer: Lexer<'t>,
    macros: &'t mut Macros,
    next: Option<Spanned<Token>>,
    /// The tokens of an expanded macro that come before the rest of the file, last token first.
    expanded: Vec<Spanned<Token>>,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(lexer: Lexer<'t>, macros: &'t mut Macros) -> Self {
        Cursor { lexer, macros, next: None, expanded: Vec::new() }
    }

    /// The macros known here.
    pub(super) fn macros(&mut self) -> &mut Macros {
        self.macros
    }

    /// The next token, without taking it; macros are expanded.
    pub(super) fn peek(&mut self) -> Result<&Spanned<Token>, Fault> {
        while let Spanned { value: Token::Macro(name), at } = self.peek_raw()? {
            let (name, at) = (name.clone(), *at);
            self.skip();
            let text = self.macros.expand(&name, at)?;
            self.splice(&text, at)?;
        }
        self.peek_raw()
    }

    /// The next token, without taking it or expanding a macro.
    pub(super) fn peek_raw(&mut self) -> Result<&Spanned<Token>, Fault> {
        let token = match self.next.take().or_else(|| self.expanded.pop()) {
            Some(token) => token,
            None => self.lexer.token()?,
        };
        Ok(self.next.insert(token))
    }

    /// Takes the token that was looked at.
    pub(super) fn skip(&mut self) {
        self.next = None;
    }

    /// Takes the next token if it is this one.
    pub(super) fn take(&mut self, token: &Token) -> Result<bool, Fault> {
        let is_there = self.peek()?.value == *token;
        if is_there {
            self.skip();
        }
        Ok(is_there)
    }

    /// Takes the next token if it is this keyword.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> Result<bool, Fault> {
        self.take(&Token::Word(keyword.into()))
    }

    /// Takes a keyword that is in a table.
    pub(super) fn choose<T: Copy>(&mut self, table: &[(&'static str, T)]) -> Result<T, Fault> {
        let found = self.peek()?;
        let word = match &found.value {
            Token::Word(word) => word.as_str(),
            _ => "",
        };
        let Some(value) = lookup(table, word) else {
            let nearest = nearest(word, table.iter().map(|&(keyword, _)| keyword));
            let problem = Problem::Expected {
                what: listed(table),
                found: found.value.name(),
                nearest: nearest.map(String::from),
            };
            return Err(Fault::new(found.at, problem));
        };
        self.skip();
        Ok(value)
    }

    /// Takes the keyword that must follow.
    pub(super) fn expect(&mut self, keyword: &'static str) -> Result<(), Fault> {
        self.choose(&[(keyword, ())])
    }

    /// Takes a word and turns it into a value with `read`.
    pub(super) fn value<T>(
        &mut self,
        what: &str,
        read: fn(&str) -> Option<T>,
    ) -> Result<Spanned<T>, Fault> {
        let found = self.peek()?;
        let value = match &found.value {
            Token::Word(word) => read(word),
            _ => None,
        };
        let at = found.at;
        let value = value.ok_or_else(|| expected(what, found))?;
        self.skip();
        Ok(Spanned { value, at })
    }

    /// Takes a string: quoted text, a word, or a whole macro.
    pub(super) fn string(&mut self, what: &str) -> Result<Spanned<String>, Fault> {
        let found = self.peek_raw()?.clone();
        let value = match found.value {
            Token::Word(text) | Token::Text(text) => text,
            Token::Macro(name) => self.macros.expand(&name, found.at)?,
            _ => return Err(expected(what, &found)),
        };
        self.skip();
        if value.len() > MAX_STRING {
            return Err(Fault::new(found.at, Problem::TooLong { limit: MAX_STRING }));
        }
        Ok(Spanned { value, at: found.at })
    }

    /// Takes the end of the line; the end of the file will do, but is not taken.
    pub(super) fn end_of_line(&mut self) -> Result<(), Fault> {
        let found = self.peek()?;
        match found.value {
            Token::Newline => {
                self.skip();
                Ok(())
            }
            Token::End => Ok(()),
            _ => Err(expected("the end of the line", found)),
        }
    }

    /// Skips tokens up to one that `is_last` accepts, without taking that one, or up to the end of the
    /// file. Faults on the way are not reported: one per line is enough.
    pub(super) fn skip_to(&mut self, is_last: fn(&Token) -> bool) {
        loop {
            match self.peek_raw() {
                Ok(token) if token.value == Token::End || is_last(&token.value) => return,
                _ => self.skip(),
            }
        }
    }

    /// Puts the tokens of a macro's text before the rest of the file. No others are waiting there, since a
    /// macro comes from the file itself.
    fn splice(&mut self, text: &str, at: At) -> Result<(), Fault> {
        let mut lexer = Lexer::expansion(text, at);
        self.expanded.clear();
        loop {
            match lexer.token()?.value {
                Token::End => break,
                Token::Macro(name) => return Err(Fault::new(at, Problem::MacroInMacro { name })),
                value => self.expanded.push(Spanned { value, at }),
            }
        }
        self.expanded.reverse();
        Ok(())
    }
}

/// The fault that `found` is not `what`.
pub(super) fn expected(what: &str, found: &Spanned<Token>) -> Fault {
    let name = found.value.name();
    Fault::new(found.at, Problem::Expected { what: what.into(), found: name, nearest: None })
}

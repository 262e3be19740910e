//! Turns tokens into statements: reads the files of a configuration with their includes, line by line.
//!
//! In: a file opened by `load`. Out: statements for `check`, in the order of the text, and faults in
//! `input`. After a fault, reading continues with the next line, or the next item of a block, so that one
//! run shows all faults. The grammar of single statements is in `grammar`.

use super::cursor::{Cursor, expected};
use super::diagnostic::{At, Fault, Spanned};
use super::grammar::STATEMENTS;
use super::input::Input;
use super::keyword::{lookup, nearest};
use super::lexer::{Lexer, MAX_STRING, Token};
use super::macros::{Macros, is_macro_name};
use super::problem::Problem;
use super::statement::Statement;
use std::path::{Path, PathBuf};

/// How deeply includes may be nested.
const MAX_DEPTH: usize = 16;

/// Reads the statements in `text`, the contents of file number `file`, and in the files it includes.
pub(super) fn parse(
    file: usize,
    text: &[u8],
    macros: &mut Macros,
    input: &mut Input<'_>,
) -> Vec<Spanned<Statement>> {
    let mut statements = Vec::new();
    let chain = vec![input.path(file).to_path_buf()];
    let cursor = Cursor::new(Lexer::new(text, file), macros);
    Parser { cursor, input, chain, statements: &mut statements }.file();
    for (name, at) in macros.unused() {
        if !input.has_errors() {
            input.warn(at, Problem::MacroUnused(name.into()));
        }
    }
    statements
}

/// The reader of one file.
pub(super) struct Parser<'p, 's> {
    pub(super) cursor: Cursor<'p>,
    input: &'p mut Input<'s>,
    /// The files that are being read: the main file, the file it includes, and so on up to this one.
    chain: Vec<PathBuf>,
    statements: &'p mut Vec<Spanned<Statement>>,
}

impl Parser<'_, '_> {
    fn file(&mut self) {
        while !self.input.has_ended() {
            match self.line() {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => {
                    self.input.error(fault);
                    self.cursor.skip_to(|token| *token == Token::Newline);
                }
            }
        }
    }

    /// Reads one line. False at the end of the file.
    fn line(&mut self) -> Result<bool, Fault> {
        let Spanned { value: token, at } = self.cursor.peek()?.clone();
        match token {
            Token::End => return Ok(false),
            Token::Newline => self.cursor.skip(),
            Token::Word(word) => {
                self.cursor.skip();
                if is_macro_name(&word) && self.cursor.peek_raw()?.value == Token::Equals {
                    self.cursor.skip();
                    self.define(word, at)?;
                } else {
                    self.statement(&word, at)?;
                }
            }
            token => return Err(expected("a statement", &Spanned { value: token, at })),
        }
        Ok(true)
    }

    fn statement(&mut self, word: &str, at: At) -> Result<(), Fault> {
        let Some(rule) = lookup(STATEMENTS, word) else {
            let nearest = nearest(word, STATEMENTS.iter().map(|&(keyword, _)| keyword));
            let problem =
                Problem::UnknownKeyword { word: word.into(), nearest: nearest.map(String::from) };
            return Err(Fault::new(at, problem));
        };
        let value = rule(self)?;
        self.cursor.end_of_line()?;
        match value {
            // The line has been taken: after a fault the next line must not be skipped.
            Statement::Include(path) => {
                self.include(path).unwrap_or_else(|fault| self.input.error(fault));
            }
            value => self.statements.push(Spanned { value, at }),
        }
        Ok(())
    }

    fn include(&mut self, path: Spanned<PathBuf>) -> Result<(), Fault> {
        if self.chain.contains(&path.value) {
            return Err(Fault::new(path.at, Problem::IncludeLoop(path.value)));
        }
        if self.chain.len() >= MAX_DEPTH {
            return Err(Fault::new(path.at, Problem::IncludeTooDeep { limit: MAX_DEPTH }));
        }
        let (file, text) = self.input.open(&path)?;
        let mut chain = self.chain.clone();
        chain.push(path.value);
        Parser {
            cursor: Cursor::new(Lexer::new(&text, file), self.cursor.macros()),
            input: self.input,
            chain,
            statements: self.statements,
        }
        .file();
        Ok(())
    }

    /// `name = string …`: the strings joined by blanks, as OpenBSD's parse.y does.
    fn define(&mut self, name: String, at: At) -> Result<(), Fault> {
        let mut value = self.cursor.string("the macro's value")?.value;
        while !matches!(self.cursor.peek_raw()?.value, Token::Newline | Token::End) {
            value.push(' ');
            value.push_str(&self.cursor.string("the end of the line")?.value);
            if value.len() > MAX_STRING {
                return Err(Fault::new(at, Problem::TooLong { limit: MAX_STRING }));
            }
        }
        let defined = self.cursor.macros().define(name.clone(), value, at);
        defined.map_err(|earlier| {
            let earlier = self.input.place(earlier, at);
            Fault::new(at, Problem::MacroAgain { name, earlier })
        })
    }

    /// A path, which may be relative to the file that names it.
    pub(super) fn path(&mut self, what: &str) -> Result<Spanned<PathBuf>, Fault> {
        let Spanned { value, at } = self.cursor.string(what)?;
        let folder = self.chain.last().and_then(|path| path.parent()).unwrap_or(Path::new(""));
        Ok(Spanned { value: folder.join(value), at })
    }

    /// How many faults there are so far.
    pub(super) fn fault_count(&self) -> usize {
        self.input.fault_count()
    }

    /// `{ item, item … }`, on any number of lines; the commas are optional, as in pf.conf(5). A faulty item
    /// is reported and left out.
    pub(super) fn block<T>(
        &mut self,
        item: fn(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let opened = self.cursor.peek()?.clone();
        if !self.cursor.take(&Token::Open)? {
            return Err(expected("\"{\"", &opened));
        }
        let mut items = Vec::new();
        loop {
            match self.item(item, opened.at) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(items),
                Err(fault) if matches!(fault.problem, Problem::BlockNotClosed { .. }) => {
                    return Err(fault);
                }
                Err(fault) => {
                    self.input.error(fault);
                    self.cursor
                        .skip_to(|t| matches!(t, Token::Newline | Token::Comma | Token::Close));
                }
            }
            if self.input.has_ended() {
                return Ok(items);
            }
        }
    }

    /// The next item of a block, `None` after the last. A line that begins like a statement shows that the
    /// block was never closed.
    fn item<T>(
        &mut self,
        item: fn(&mut Self) -> Result<T, Fault>,
        opened: At,
    ) -> Result<Option<T>, Fault> {
        while matches!(self.cursor.peek()?.value, Token::Newline | Token::Comma) {
            self.cursor.skip();
        }
        let next = self.cursor.peek()?;
        match &next.value {
            Token::Close => {
                self.cursor.skip();
                return Ok(None);
            }
            Token::Word(word) if lookup(STATEMENTS, word).is_none() => {}
            Token::Word(_) | Token::End => {
                let problem = Problem::BlockNotClosed { opened: opened.line };
                return Err(Fault::new(next.at, problem));
            }
            _ => {}
        }
        let item = item(self)?;
        let next = self.cursor.peek()?;
        match next.value {
            Token::Open | Token::Equals => Err(expected("\",\" or \"}\"", next)),
            _ => Ok(Some(item)),
        }
    }
}

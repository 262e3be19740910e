//! Macros: `name = "value"` in the file, `-D name=value` on the command line, which wins.
//!
//! `parse` defines them, `cursor` expands them. Values are plain text and are expanded once, where they are
//! used. The total size of expansions is bounded, since a short name may stand for a long text many times.

use super::diagnostic::{At, Fault};
use super::lexer::is_name;
use super::problem::Problem;
use std::collections::BTreeMap;
use std::str::FromStr;

/// A macro defined on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Define {
    name: String,
    value: String,
}

/// The text is not `macro=value` with a name of letters, digits and `_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADefine;

impl FromStr for Define {
    type Err = NotADefine;

    fn from_str(text: &str) -> Result<Define, NotADefine> {
        let (name, value) = text.split_once('=').ok_or(NotADefine)?;
        let is_sound =
            is_macro_name(name) && !value.contains(|c: char| c.is_control() && c != '\t');
        is_sound.then(|| Define { name: name.into(), value: value.into() }).ok_or(NotADefine)
    }
}

/// The size of all expansions together, in bytes.
pub(super) const MAX_EXPANSION: usize = 4 << 20;

/// The macros known so far.
#[derive(Debug)]
pub(super) struct Macros {
    known: BTreeMap<String, Macro>,
    left: usize,
}

#[derive(Debug)]
struct Macro {
    value: String,
    /// `None` if it was defined on the command line.
    defined: Option<At>,
    is_used: bool,
}

impl Macros {
    /// The macros of the command line; of several with one name, the last counts.
    pub(super) fn new(defines: &[Define]) -> Macros {
        let known = defines
            .iter()
            .map(|d| {
                (d.name.clone(), Macro { value: d.value.clone(), defined: None, is_used: false })
            })
            .collect();
        Macros { known, left: MAX_EXPANSION }
    }

    /// Defines a macro in the file, unless the command line defines it. `Err` is the place where the file
    /// has already defined it.
    pub(super) fn define(&mut self, name: String, value: String, at: At) -> Result<(), At> {
        match self.known.get(&name) {
            None => {
                self.known.insert(name, Macro { value, defined: Some(at), is_used: false });
                Ok(())
            }
            Some(Macro { defined: Some(earlier), .. }) => Err(*earlier),
            Some(_) => Ok(()),
        }
    }

    /// The text of `$name`, which is used at `at`.
    pub(super) fn expand(&mut self, name: &str, at: At) -> Result<String, Fault> {
        let Some(found) = self.known.get_mut(name) else {
            return Err(Fault::new(at, self.undefined(name)));
        };
        found.is_used = true;
        self.left = self
            .left
            .checked_sub(found.value.len().saturating_add(1))
            .ok_or(Fault::new(at, Problem::ExpansionTooLarge { limit: MAX_EXPANSION }))?;
        Ok(found.value.clone())
    }

    /// The macros of the file that are not used, in the order of their names.
    pub(super) fn unused(&self) -> impl Iterator<Item = (&str, At)> {
        self.known
            .iter()
            .filter(|(_, m)| !m.is_used)
            .filter_map(|(name, m)| Some((name.as_str(), m.defined?)))
    }

    fn undefined(&self, name: &str) -> Problem {
        let nearest = super::keyword::nearest(name, self.known.keys().map(String::as_str));
        Problem::MacroUndefined { name: name.into(), nearest: nearest.map(String::from) }
    }
}

/// Whether `name` can be the name of a macro.
pub(super) fn is_macro_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defines_of_the_command_line() {
        let define = |name: &str, value: &str| Define { name: name.into(), value: value.into() };
        assert_eq!("mx2=mx2.example.org".parse(), Ok(define("mx2", "mx2.example.org")));
        assert_eq!("a=".parse(), Ok(define("a", "")));
        assert_eq!("a=b=c".parse(), Ok(define("a", "b=c")));
        for text in ["", "a", "=b", "a b=c", "a.b=c", "é=c", "a=b\n"] {
            assert_eq!(text.parse::<Define>(), Err(NotADefine), "{text}");
        }
    }

    #[test]
    fn the_command_line_wins_and_the_file_cannot_define_twice() {
        let at = At::start(0);
        let mut macros = Macros::new(&["a=line".parse().unwrap()]);
        assert_eq!(macros.define("a".into(), "file".into(), at), Ok(()));
        assert_eq!(macros.expand("a", at).unwrap(), "line");
        assert_eq!(macros.define("b".into(), "1".into(), at), Ok(()));
        assert_eq!(macros.define("b".into(), "2".into(), At { line: 2, ..at }), Err(at));
        assert_eq!(macros.expand("b", at).unwrap(), "1");
    }

    #[test]
    fn only_macros_of_the_file_are_missed() {
        let at = At::start(0);
        let mut macros = Macros::new(&["a=line".parse().unwrap()]);
        for name in ["b", "c"] {
            macros.define(name.into(), String::new(), at).unwrap();
        }
        macros.expand("c", at).unwrap();
        assert_eq!(macros.unused().collect::<Vec<_>>(), [("b", at)]);
    }

    #[test]
    fn expansion_is_bounded() {
        let at = At::start(0);
        let mut macros = Macros::new(&[]);
        macros.define("a".into(), "x".repeat(8096), at).unwrap();
        let uses = (0..).take_while(|_| macros.expand("a", at).is_ok()).count();
        assert_eq!(uses, MAX_EXPANSION / 8097);
    }
}

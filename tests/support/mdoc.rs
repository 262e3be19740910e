//! As much of mdoc(7) as it takes to see what a manual promises.
//!
//! The source of a manual comes in; out go its sections, the heads of its lists as [`Element`]s, its
//! plain text, and its displays as they look when copied from the terminal.

use std::collections::BTreeSet;

/// A part of a manual's source.
#[derive(Clone, Debug)]
pub struct Manual(String);

/// An item of a list.
#[derive(Clone, Debug)]
pub struct Item {
    /// What is said about.
    pub head: Vec<Element>,
    /// What is said, up to the next item of any list.
    pub body: Manual,
}

/// A piece of a synopsis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// An option's letters, `.Fl`.
    Flag(String),
    /// A word to be typed as it stands, `.Cm` and `.Ic`.
    Word(String),
    /// What stands for something else, `.Ar`.
    Argument(String),
    /// The beginning of what may be left out.
    Open,
    /// Its end.
    Close,
    /// A literal brace.
    Brace,
    /// Its end.
    Unbrace,
    /// Either what is before or what is behind.
    Or,
    /// Anything else.
    Text(String),
}

impl Element {
    /// The word that is to be typed.
    pub fn word(&self) -> Option<&str> {
        match self {
            Element::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The letters of all options among `elements`.
pub fn flags(elements: &[Element]) -> BTreeSet<char> {
    let flags = elements.iter().filter_map(|element| match element {
        Element::Flag(letters) => Some(letters.chars()),
        _ => None,
    });
    flags.flatten().collect()
}

impl Manual {
    /// Reads `man/NAME`.
    pub fn read(name: &str) -> Manual {
        let path = format!("{}/man/{name}", env!("CARGO_MANIFEST_DIR"));
        Manual(std::fs::read_to_string(path).unwrap())
    }

    /// The section or subsection of that title, without those within or behind.
    pub fn section(&self, title: &str) -> Manual {
        let heads = [format!(".Sh {title}"), format!(".Ss {title}")];
        let mut lines = self.0.lines().skip_while(|line| !heads.iter().any(|head| head == line));
        assert!(lines.next().is_some(), "no section {title}");
        let is_head = |line: &&str| line.starts_with(".Sh ") || line.starts_with(".Ss ");
        Manual(lines.take_while(|line| !is_head(line)).map(|line| format!("{line}\n")).collect())
    }

    /// The items of all lists, in their order.
    pub fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for line in self.0.lines() {
            if let Some(head) = line.strip_prefix(".It") {
                items.push(Item { head: elements(head), body: Manual(String::new()) });
            } else if let Some(item) = items.last_mut() {
                item.body.0.push_str(line);
                item.body.0.push('\n');
            }
        }
        items
    }

    /// The elements of all lines that begin with a macro, such as those of a synopsis.
    pub fn elements(&self) -> Vec<Element> {
        self.0.lines().filter_map(|line| line.strip_prefix('.')).flat_map(elements).collect()
    }

    /// The arguments of all macros `name` that begin a line.
    pub fn all(&self, name: &str) -> Vec<String> {
        let start = format!(".{name} ");
        let lines = self.0.lines().filter_map(|line| line.strip_prefix(&start));
        lines.map(|rest| words(rest).remove(0)).collect()
    }

    /// The text without macros, in one line.
    pub fn text(&self) -> String {
        let is_text = |word: &String| !MACROS.contains(&word.as_str());
        let line = |line: &str| match line.strip_prefix('.') {
            Some(rest) => words(rest).into_iter().filter(is_text).collect::<Vec<_>>().join(" "),
            None => plain(line),
        };
        self.0.lines().map(line).collect::<Vec<_>>().join(" ")
    }

    /// What is shown to be copied: one-line displays, and the lines of blocks, joined where they belong
    /// together.
    pub fn displays(&self) -> Vec<String> {
        let mut displays = Vec::new();
        let mut block: Option<String> = None;
        for line in self.0.lines() {
            match (&mut block, line) {
                (None, _) if line.starts_with(".Dl ") => displays.push(plain(&line[4..])),
                (None, _) if line.starts_with(".Bd -literal") => block = Some(String::new()),
                (Some(_), ".Ed") => displays.extend(block.take()),
                (Some(text), _) => text.push_str(&format!("{}\n", plain(line))),
                (None, _) => {}
            }
        }
        displays
    }
}

/// Macros that the manuals use within lines.
const MACROS: [&str; 32] = [
    "An", "Ar", "Brc", "Bro", "Brq", "Cm", "D1", "Dl", "Dv", "Em", "Ev", "Fl", "Ic", "It", "Li",
    "Nm", "No", "Ns", "Oc", "Oo", "Op", "Ox", "Pa", "Pf", "Pp", "Pq", "Ql", "Qq", "Sq", "Va", "Xr",
    "Lk",
];

fn elements(line: &str) -> Vec<Element> {
    let (mut elements, mut ends) = (Vec::new(), Vec::new());
    let mut make: fn(String) -> Element = Element::Text;
    for word in words(line) {
        match word.as_str() {
            "Fl" => make = Element::Flag,
            "Cm" | "Ic" => make = Element::Word,
            "Ar" => make = Element::Argument,
            "Oo" | "Op" => elements.push(Element::Open),
            "Oc" => elements.push(Element::Close),
            "Bro" | "Brq" => elements.push(Element::Brace),
            "Brc" => elements.push(Element::Unbrace),
            "|" => elements.push(Element::Or),
            "..." | "," => elements.push(Element::Text(word.clone())),
            "Ns" | "Nm" => {}
            other if MACROS.contains(&other) => make = Element::Text,
            _ => elements.push(make(word.clone())),
        }
        match word.as_str() {
            "Op" => ends.push(Element::Close),
            "Brq" => ends.push(Element::Unbrace),
            _ => {}
        }
    }
    elements.extend(ends.into_iter().rev());
    elements
}

/// The words of a macro line, quotes taken off.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(plain(word));
        rest = behind.trim_start();
    }
    words
}

/// The text with its escapes resolved.
fn plain(text: &str) -> String {
    let text = text.replace("\\(dq", "\"").replace("\\&", "").replace("\\e", "\u{0}");
    assert!(!text.contains('\\'), "an escape that is not known here: {text}");
    text.replace('\u{0}', "\\")
}

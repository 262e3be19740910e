//! Looks up keywords in sorted tables, and suggests one if a single letter is wrong.
//!
//! Called by `cursor` and `macros` with a word from a file.

/// The entry for a word in a table, which is sorted by word.
pub(super) fn lookup<T: Copy>(table: &[(&'static str, T)], word: &str) -> Option<T> {
    let found = table.binary_search_by(|&(keyword, _)| keyword.cmp(word)).ok()?;
    table.get(found).map(|&(_, value)| value)
}

/// The first of `words` that differs from `word` by one letter more, less or replaced, or by two letters
/// exchanged. `None` for very short words: `on` is not a typo for `no`.
pub(super) fn nearest<'w>(word: &str, mut words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if word.len() < SHORTEST {
        return None;
    }
    words.find(|candidate| is_one_off(word.as_bytes(), candidate.as_bytes()))
}

/// The words of a table as a message lists them: `"a", "b" or "c"`.
pub(super) fn listed<T>(table: &[(&'static str, T)]) -> String {
    match table {
        [(only, _)] => format!("\"{only}\""),
        [before @ .., (last, _)] => {
            let before: Vec<String> =
                before.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("{} or \"{last}\"", before.join(", "))
        }
        [] => String::new(),
    }
}

/// There are no suggestions for shorter words.
const SHORTEST: usize = 3;

fn is_one_off(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    match (short.get(same..), long.get(same..)) {
        (Some([]), Some([])) => false,
        (Some(s), Some([_, l @ ..])) if s == l => true,
        (Some([_, s @ ..]), Some([_, l @ ..])) if s == l => true,
        (Some([x, y, s @ ..]), Some([v, w, l @ ..])) => x == w && y == v && s == l,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_off() {
        let words = ["allow", "max", "trap"];
        for (word, expected) in [
            ("trp", Some("trap")),
            ("trapp", Some("trap")),
            ("traq", Some("trap")),
            ("tarp", Some("trap")),
            ("xtrap", Some("trap")),
            ("rtap", Some("trap")),
            ("mx", None),
            ("maax", Some("max")),
            ("alow", Some("allow")),
            ("trap", None),
            ("tr", None),
            ("part", None),
            ("patr", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words.into_iter()), expected, "{word}");
        }
    }

    #[test]
    fn words_are_found_and_listed() {
        let table = [("dns", 1), ("identity", 2), ("rcpt", 3)];
        assert_eq!(lookup(&table, "identity"), Some(2));
        assert_eq!(lookup(&table, "i"), None);
        assert_eq!(listed(&table), "\"dns\", \"identity\" or \"rcpt\"");
        assert_eq!(listed(&table[..2]), "\"dns\" or \"identity\"");
        assert_eq!(listed(&table[..1]), "\"dns\"");
    }
}

//! Tables of addresses in the form in which pf(4) loads them from files, such as spamd's nospamd.
//!
//! In: the text of a file named by `allow file`, as pfctl(8) reads it: addresses and networks, separated by
//! blanks or newlines, and comments from a `#` at the beginning of a word to the end of the line. Out: its
//! networks; faults go to `input` with their lines. Host bits are cleared as pf does, with a warning. Host
//! names and negated entries (`host.name`, `!192.0.2.1`), which pf resolves or excepts, are errors, since
//! the set would not be what it seems to be.

use super::Network;
use super::diagnostic::{At, Fault, Spanned};
use super::input::Input;
use super::problem::Problem;
use super::value;

/// The networks in the text of file number `file`, each with its place.
pub(super) fn networks(file: usize, text: &[u8], input: &mut Input<'_>) -> Vec<Spanned<Network>> {
    let mut networks = Vec::new();
    for (line, number) in text.split(|&b| b == b'\n').zip(1..) {
        for (column, word) in words(line) {
            let at = At { file, line: number, column };
            match network(word, at, input) {
                Ok(value) => networks.push(Spanned { value, at }),
                Err(problem) => input.error(Fault::new(at, problem)),
            }
            if input.has_ended() {
                return networks;
            }
        }
    }
    networks
}

fn network(word: &[u8], at: At, input: &mut Input<'_>) -> Result<Network, Problem> {
    let word = str::from_utf8(word).map_err(|_| Problem::NotUtf8)?;
    if word.starts_with('!') {
        return Err(Problem::Exception(word.into()));
    }
    let written = value::network(word)?;
    if written.has_host_bits {
        let taken = written.network.to_string();
        input.warn(at, Problem::HostBitsCleared { network: word.into(), taken });
    }
    Ok(written.network)
}

/// The words of a line before its comment, each with its column.
fn words(line: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut column = 1u32;
    line.split(u8::is_ascii_whitespace)
        .map(move |word| {
            let at = column;
            let length = u32::try_from(word.len()).unwrap_or(u32::MAX);
            column = column.saturating_add(length).saturating_add(1);
            (at, word)
        })
        .take_while(|(_, word)| !word.starts_with(b"#"))
        .filter(|(_, word)| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_the_comment() {
        let found = |line| words(line).collect::<Vec<(u32, &[u8])>>();
        assert_eq!(found(b" 192.0.2.1\t::1  # x y"), [(2, &b"192.0.2.1"[..]), (12, b"::1")]);
        assert_eq!(found(b"#192.0.2.1"), []);
        assert_eq!(found(b"192.0.2.1#x"), [(1, &b"192.0.2.1#x"[..])]);
        assert_eq!(found(b"192.0.2.1\r"), [(1, &b"192.0.2.1"[..])]);
    }
}

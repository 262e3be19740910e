//! The fuzz targets on the stable compiler, with their corpus and with mutations of it that are the same in
//! every run. `FUZZ_SMOKE_ROUNDS` makes it longer; `.ci/fuzz` runs the real fuzzer.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "../support/fuzz_targets.rs"]
#[allow(clippy::panic)]
mod targets;

use crate::support::dice::Dice;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

#[test]
fn hash() {
    smoke("hash", 6_000, targets::hash);
}

#[test]
fn btree() {
    smoke("btree", 6_000, targets::btree);
}

#[test]
fn record() {
    smoke("record", 4_000, targets::record);
}

#[test]
fn config() {
    smoke("config", 3_000, targets::config);
}

#[test]
fn dns_answer() {
    smoke("dns_answer", 20_000, targets::dns_answer);
}

#[test]
fn spf() {
    smoke("spf", 10_000, targets::spf);
}

/// Runs a target; an input that makes it panic is kept for the fuzzer.
fn smoke(name: &str, rounds: usize, target: fn(&[u8])) {
    let rounds = std::env::var("FUZZ_SMOKE_ROUNDS").map_or(rounds, |n| n.parse().unwrap());
    let corpus = corpus(name);
    let try_one = |input: &[u8]| {
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| target(input))) {
            let kept = std::env::temp_dir().join(format!("fuzz-smoke-{name}"));
            fs::write(&kept, input).unwrap();
            eprintln!("kept: {}", kept.display());
            panic::resume_unwind(panic);
        }
    };
    corpus.iter().for_each(|input| try_one(input));
    let mut dice = Dice(1);
    for round in 0..rounds {
        let mut input = corpus[round % corpus.len()].clone();
        for _ in 0..1 + dice.roll(3) {
            mutate(&mut input, &corpus, &mut dice);
        }
        try_one(&input);
    }
}

/// In the order of the names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 5, "{name}");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Flips a bit, sets a byte to a value that often means something, cuts, doubles, or splices in a
/// piece of another input.
fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.roll(input.len() + 1);
    match dice.roll(12) {
        0 => input.truncate(at),
        1 => _ = input.drain(at..(at + 1 + dice.roll(16)).min(input.len())),
        2 => {
            let piece = input[at..(at + dice.roll(64)).min(input.len())].to_vec();
            input.splice(at..at, piece);
        }
        3 => {
            let other = &corpus[dice.roll(corpus.len())];
            let start = dice.roll(other.len() + 1);
            let piece = &other[start..(start + dice.roll(128)).min(other.len())];
            let end = (at + piece.len()).min(input.len());
            input.splice(at..end, piece.iter().copied());
        }
        kind => {
            // Headers, of the file or of a page, are where most of the structure is.
            let at = if kind < 8 { at } else { at / 512 * 512 + dice.roll(24) };
            let value = [0, 1, 2, 3, 0x7f, 0x80, 0xff, dice.roll(256) as u8][dice.roll(8)];
            if let Some(byte) = input.get_mut(at) {
                *byte = if kind % 2 == 0 { *byte ^ (1 << dice.roll(8)) } else { value };
            }
        }
    }
}

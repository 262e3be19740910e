//! Random operations: each engine alone, and all engines alternately on one file.

use super::operations::Operation;
use super::subject::{Code, Subject};
use crate::support::dice::Dice;
use greytrapper::db::Format;
use std::env;

/// What keys and values look like.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// As spamd's: addresses and tuples, values of 32 bytes.
    Spamd,
    /// Also keys as long as spamd's can be, and values longer than a page.
    Long,
}

/// The dice of a test, as `ENGINE_SEED` says.
pub fn dice() -> Dice {
    Dice(number("ENGINE_SEED", 1) as u64)
}

impl Dice {
    /// One of a limited number of keys, always the same for its number.
    fn key(&mut self, kind: Kind, longest: usize) -> Vec<u8> {
        let number = self.roll(3000);
        let address = format!("10.{}.{}.{}", number % 7, number / 256, number % 256);
        let length = match (kind, number % 4) {
            (_, 0) => return address.into_bytes(),
            (Kind::Long, 1) => number * 4,
            _ => 20 + number % 100,
        };
        let name = "x".repeat(length.min(longest));
        let mut key = format!("{address}\nmail{number}.example\n<{name}@example>\n<a@b>");
        key.truncate(longest);
        key.into_bytes()
    }

    fn value(&mut self, kind: Kind) -> Vec<u8> {
        let size = match (kind, self.roll(8)) {
            // Never empty: a hash cannot hold a key of many pages and no value.
            (Kind::Long, 0) => 1 + self.roll(6000),
            (Kind::Long, 1) => 1 + self.roll(600),
            _ => 32,
        };
        vec![self.roll(256) as u8; size]
    }

    fn operation(&mut self, kind: Kind, longest: usize, deletions: usize) -> Operation {
        let key = self.key(kind, longest);
        match self.roll(10) {
            0 => Operation::Get(key),
            sides if sides <= deletions => Operation::Delete(key),
            _ => Operation::Put(key, self.value(kind)),
        }
    }
}

/// Random turns of `codes` on one file.
fn play(codes: &[Code], format: Format, page_size: u32, kind: Kind) {
    let operations = number("ENGINE_OPERATIONS", 3_000);
    let mut dice = dice();
    let mut subject = Subject::empty(format, page_size);
    let (mut done, mut turns) = (0, 0);
    while done < operations {
        let code = codes[dice.roll(codes.len())];
        // Long times of growing and of shrinking.
        let deletions = if turns / 40 % 2 == 0 { 2 } else { 7 };
        done += turn(&mut subject, code, &mut dice, kind, deletions);
        turns += 1;
    }
}

/// One turn of up to 60 operations, of which `deletions` in 10 take a record out; how many they were.
pub fn turn(
    subject: &mut Subject,
    code: Code,
    dice: &mut Dice,
    kind: Kind,
    deletions: usize,
) -> usize {
    let length = 1 + dice.roll(60);
    let longest = longest_key(subject.format, subject.page_size);
    subject.turn(code, |engine, model| {
        for _ in 0..length {
            dice.operation(kind, longest, deletions).apply(engine, model);
        }
    });
    length
}

/// A key too long for a btree's page (`bt_ovflsize` less a stub) goes to pages of its own. dbopen(3)
/// then files it under its stub {page number, size} and does not find it again (`__bt_put()` in
/// lib/libc/db/btree/bt_put.c): such keys are not for both engines. spamd has none in pages of 16384.
fn longest_key(format: Format, page_size: u32) -> usize {
    match format {
        Format::Hash => 4200,
        Format::Btree => (page_size as usize - 20) / 2 - 22,
    }
}

/// A number from the environment.
pub fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// One test for each page size and kind.
macro_rules! plays {
    ($format:expr, $codes:expr; $($name:ident: $page_size:literal, $kind:ident;)*) => {
        $(#[test] fn $name() {
            super::play($codes, $format, $page_size, super::Kind::$kind);
        })*
    };
}

macro_rules! all_plays {
    ($($module:ident: $codes:expr, $format:expr;)*) => {
        $(mod $module {
            use super::{Code, Format};
            plays! { $format, $codes;
                spamd_512: 512, Spamd;
                spamd_4096: 4096, Spamd;
                spamd_16384: 16384, Spamd;
                long_512: 512, Long;
                long_4096: 4096, Long;
                long_32768: 32768, Long;
            }
        })*
    };
}

all_plays! {
    native_hash: &[Code::Native], Format::Hash;
    native_btree: &[Code::Native], Format::Btree;
}

#[cfg(libc_db)]
all_plays! {
    libc_hash: &[Code::Libc], Format::Hash;
    libc_btree: &[Code::Libc], Format::Btree;
    turns_hash: Code::ALL, Format::Hash;
    turns_btree: Code::ALL, Format::Btree;
}

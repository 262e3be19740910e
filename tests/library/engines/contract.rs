//! What [`Engine`](greytrapper::db::Engine) promises, for every engine and format.

use super::operations::{delete, get, put};
use super::subject::{Code, Subject, records};
use crate::support::golden::databases;
use greytrapper::db::Format;
use std::fs;

const KEY: &[u8] = b"192.0.2.1";
const VALUE: &[u8] = &[7; 32];
const PAGE_SIZES: [u32; 4] = [512, 4096, 16384, 32768];

/// The tests below, once for each engine and format.
macro_rules! for_every_engine {
    ($($test:ident),* $(,)?) => {
        mod native_hash { $(#[test] fn $test() {
            super::$test(super::Code::Native, super::Format::Hash);
        })* }
        mod native_btree { $(#[test] fn $test() {
            super::$test(super::Code::Native, super::Format::Btree);
        })* }
        #[cfg(libc_db)]
        mod libc_hash { $(#[test] fn $test() {
            super::$test(super::Code::Libc, super::Format::Hash);
        })* }
        #[cfg(libc_db)]
        mod libc_btree { $(#[test] fn $test() {
            super::$test(super::Code::Libc, super::Format::Btree);
        })* }
    };
}

for_every_engine! {
    a_database_without_records_has_none,
    a_value_can_be_entered_replaced_and_removed,
    keys_and_values_are_any_bytes,
    values_around_the_size_of_a_page_are_kept,
    a_value_may_become_longer_and_shorter,
    thousands_of_records_split_pages,
    a_database_can_be_emptied_and_filled_again,
    what_the_real_programs_changed_can_be_changed,
    closing_without_a_change_leaves_all_records,
}

fn a_database_without_records_has_none(code: Code, format: Format) {
    for page_size in PAGE_SIZES {
        Subject::empty(format, page_size).turn(code, |engine, model| {
            get(engine, model, KEY);
            delete(engine, model, KEY);
        });
    }
}

fn a_value_can_be_entered_replaced_and_removed(code: Code, format: Format) {
    for page_size in PAGE_SIZES {
        let mut subject = Subject::empty(format, page_size);
        subject.turn(code, |engine, model| put(engine, model, KEY, VALUE));
        subject.turn(code, |engine, model| {
            get(engine, model, KEY);
            put(engine, model, KEY, &[8; 32]);
        });
        subject.turn(code, |engine, model| delete(engine, model, KEY));
        subject.turn(code, |engine, model| delete(engine, model, KEY));
        assert!(subject.model.is_empty());
    }
}

fn keys_and_values_are_any_bytes(code: Code, format: Format) {
    let odd: [&[u8]; 8] =
        [b"", b"\0", b"\0\0", b"\xff", b"\xff\xff\xff\xff", b"a\nb\0c", b" ", b"\x80|"];
    let mut subject = Subject::empty(format, 512);
    subject.turn(code, |engine, model| {
        odd.iter().zip(odd.iter().rev()).for_each(|(key, value)| put(engine, model, key, value));
    });
    subject.turn(code, |engine, model| odd.iter().for_each(|key| delete(engine, model, key)));
}

/// One and two pages are where a pair becomes a big one, or needs one more page.
fn values_around_the_size_of_a_page_are_kept(code: Code, format: Format) {
    for page_size in [512, 4096] {
        let mut subject = Subject::empty(format, page_size);
        let page = page_size as usize;
        let near = |size: usize| size - 48..size + 16;
        let sizes = near(page / 2).chain(near(page)).chain(near(2 * page));
        for size in sizes.chain([0, 1, 10 * page, 65000]) {
            let value: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            subject.turn(code, |engine, model| {
                put(engine, model, KEY, VALUE);
                put(engine, model, size.to_string().as_bytes(), &value);
                get(engine, model, KEY);
            });
        }
        let keys: Vec<_> = subject.model.keys().cloned().collect();
        for key in keys {
            subject.turn(code, |engine, model| delete(engine, model, &key));
        }
    }
}

fn a_value_may_become_longer_and_shorter(code: Code, format: Format) {
    let mut subject = Subject::empty(format, 512);
    let neighbours = |at: usize| format!("192.0.2.{at}").into_bytes();
    subject.turn(code, |engine, model| {
        (0..40).for_each(|at| put(engine, model, &neighbours(at), VALUE));
    });
    for size in [20, 32, 0, 200, 32, 3000, 32, 3000, 5000, 700, 1] {
        subject.turn(code, |engine, model| {
            (10..20).for_each(|at| put(engine, model, &neighbours(at), &vec![9; size]));
            (0..40).for_each(|at| get(engine, model, &neighbours(at)));
        });
    }
}

fn thousands_of_records_split_pages(code: Code, format: Format) {
    for page_size in [512, 16384] {
        let mut subject = Subject::empty(format, page_size);
        let key = |at: u32| format!("{}", std::net::Ipv4Addr::from(at.wrapping_mul(2_654_435_761)));
        for turn in 0..4_u32 {
            subject.turn(code, |engine, model| {
                (turn * 1000..(turn + 1) * 1000)
                    .for_each(|at| put(engine, model, key(at).as_bytes(), VALUE));
            });
        }
    }
}

fn a_database_can_be_emptied_and_filled_again(code: Code, format: Format) {
    for name in ["multi.db", "page512.db", "old32.db", "spamd-made.db"] {
        let mut subject = Subject::golden(&format!("{}/{name}", folder(format)));
        let before = subject.model.clone();
        subject.turn(code, |engine, model| {
            before.keys().for_each(|key| delete(engine, model, key));
        });
        assert!(subject.model.is_empty());
        subject.turn(code, |engine, model| {
            before.iter().for_each(|(key, value)| put(engine, model, key, value));
        });
        assert!(subject.model == before);
    }
}

/// The golden operations: from the reference's file before to the reference's records after.
fn what_the_real_programs_changed_can_be_changed(code: Code, format: Format) {
    let folder = format!("ops/{}", folder(format));
    let after = databases(&folder).into_iter().filter(|path| !path.ends_with("before.db"));
    let mut met = 0;
    for path in after {
        let wanted = records(&fs::read(&path).unwrap());
        let mut subject = Subject::golden(&format!("{folder}/before.db"));
        let before = subject.model.clone();
        subject.turn(code, |engine, model| {
            before.keys().filter(|key| !wanted.contains_key(*key)).for_each(|key| {
                delete(engine, model, key);
            });
            wanted.iter().filter(|(key, value)| before.get(*key) != Some(value)).for_each(
                |(key, value)| {
                    put(engine, model, key, value);
                },
            );
        });
        assert!(subject.model == wanted, "{path:?}");
        met += 1;
    }
    assert_eq!(met, 5);
}

fn closing_without_a_change_leaves_all_records(code: Code, format: Format) {
    for name in ["kinds.db", "odd.db", "old32.db", "openbsd16k.db", "page8192.db"] {
        let mut subject = Subject::golden(&format!("{}/{name}", folder(format)));
        subject.turn(code, |engine, model| get(engine, model, KEY));
    }
}

fn folder(format: Format) -> &'static str {
    match format {
        Format::Hash => "hash",
        Format::Btree => "btree",
    }
}

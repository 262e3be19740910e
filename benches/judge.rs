//! Walking and judging a database of 100,000 tuples that is in memory, and md5sum's time for the same
//! file: the machine's speed, to compare runs by.
//!
//! `cargo bench --bench judge`

#![allow(clippy::expect_used)]

#[path = "support/generated.rs"]
mod generated;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use generated::population::NOW;
use greytrapper::config::Rules;
use greytrapper::db::snapshot::Snapshot;
use greytrapper::scan::{self, Portion, Scan};
use greytrapper::spamd::Entry;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use tempfile::NamedTempFile;

static FILE: LazyLock<NamedTempFile> = LazyLock::new(|| generated::database(100_000));
static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| std::fs::read(FILE.path()).expect("database"));

fn main() {
    divan::main();
    // A static is not dropped.
    if let Err(error) = std::fs::remove_file(FILE.path()) {
        eprintln!("{}: {error}", FILE.path().display());
    }
}

#[divan::bench]
fn md5sum(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::of_slice(&IMAGE[..])).bench(|| {
        let mut md5sum = Command::new("md5sum");
        md5sum.arg(FILE.path()).stdout(Stdio::null()).status().expect("md5sum").success()
    });
}

#[divan::bench]
fn check(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::of_slice(&IMAGE[..])).bench(|| {
        let snapshot = Snapshot::new(black_box(&IMAGE)).expect("snapshot");
        snapshot.check(&mut |damage| panic!("{damage}"));
    });
}

#[divan::bench]
fn walk_and_decode(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::of_slice(&IMAGE[..])).bench(|| {
        let snapshot = Snapshot::new(black_box(&IMAGE)).expect("snapshot");
        let order = snapshot.byte_order();
        let records = snapshot.records().map(|record| record.expect("sound"));
        records.filter(|r| Entry::decode(&r.key, &r.value, order).is_ok()).count()
    });
}

/// Without DNS: with `check identity`, the counting rules only nominate.
#[divan::bench]
fn judge(bencher: Bencher<'_, '_>) {
    let rules = Rules::default();
    bencher.counter(BytesCount::of_slice(&IMAGE[..])).bench(|| {
        let snapshot = Snapshot::new(black_box(&IMAGE)).expect("snapshot");
        scan::run(&snapshot, NOW, &rules).expect("sound").traps(Portion::None).count()
    });
}

/// What DNS would be asked.
#[divan::bench]
fn questions(bencher: Bencher<'_, '_>) {
    let rules = Rules::default();
    let snapshot = Snapshot::new(&IMAGE).expect("snapshot");
    let scan = Scan::of(&snapshot, NOW, &rules).expect("sound");
    bencher.bench_local(|| (scan.questions().len(), scan.domains().len()));
}

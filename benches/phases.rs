//! The parts of a scan of 100,000 tuples in memory, each compared with md5sum of the file, to find out why
//! `simulate` has become slower. There are no budgets.
//!
//! `cargo bench --bench phases -- [ROUNDS [TUPLES]]`
#![allow(clippy::expect_used, clippy::panic)]

mod support;

use greytrapper::config::Rules;
use greytrapper::db::snapshot::Snapshot;
use greytrapper::scan::{self, Portion, Scan};
use greytrapper::spamd::Entry;
use std::hint::black_box;
use support::population::NOW;

fn main() {
    let (rounds, tuples) = support::numbers(21, 100_000);
    let file = support::database(tuples);
    let image = std::fs::read(file.path()).expect("database");
    let rules = Rules::default();
    let snapshot = || Snapshot::new(black_box(&image)).expect("snapshot");
    let check = || snapshot().check(&mut |damage| panic!("{damage}"));
    let walk = || {
        let snapshot = snapshot();
        let order = snapshot.byte_order();
        let records = snapshot.records().map(|record| record.expect("sound"));
        black_box(records.filter(|r| Entry::decode(&r.key, &r.value, order).is_ok()).count());
    };
    // Without DNS: with `check identity`, the counting rules only nominate.
    let judge = || {
        black_box(scan::run(&snapshot(), NOW, &rules).expect("sound").traps(Portion::None).count());
    };
    let walked = snapshot();
    let scan = Scan::of(&walked, NOW, &rules).expect("sound");
    let questions = || {
        black_box((scan.questions().len(), scan.domains().len()));
    };
    let parts: [(&str, &dyn Fn()); 4] = [
        ("check", &check),
        ("walk and decode", &walk),
        ("judge", &judge),
        ("what DNS would be asked", &questions),
    ];
    for (name, part) in parts {
        let md5sum = || support::run("md5sum", [file.path()]);
        let (ours, theirs) = support::in_turn(rounds, || support::timed(part).0, md5sum);
        let ratio = ours.median().as_secs_f64() / theirs.median().as_secs_f64();
        println!("{name}: {ours}, md5sum {theirs}: {ratio:.2} x");
    }
}

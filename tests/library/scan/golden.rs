//! The golden databases, judged by the program and by the slow model.

use super::model;
use super::records::{NOW, offline};
use greytrapper::config::Rules;
use greytrapper::db::Damage;
use greytrapper::db::snapshot::{Condition, Snapshot};
use greytrapper::scan;
use regex::bytes::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn databases(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(directory);
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "db")).collect();
    paths.sort();
    paths
}

/// Strict enough that every rule finds something, on top of the defaults.
fn settings() -> Vec<Rules> {
    let mut strict = Rules {
        suspect_tuples: 2,
        max_sender_domains: Some(1),
        max_sender_ratio: Some(0.5),
        ..offline()
    };
    strict.rcpt.trap = vec![Regex::new(r"(?i)@oldmailserver\.mydomain\.com$").unwrap()];
    let mut ratio = Rules { max_sender_domains: None, sender_syntax: false, ..strict.clone() };
    ratio.rcpt.pass = regex::bytes::RegexSet::new(["(?i)^u1"]).unwrap();
    let unlisted =
        Rules { max_helo_names: None, max_sender_ratio: None, suspect_tuples: 10, ..ratio.clone() };
    let mut unlisted = unlisted;
    unlisted.rcpt.unlisted = true;
    vec![offline(), strict, ratio, unlisted]
}

/// Every trap as `address rule number`, the number being what the rule counted.
fn verdicts(image: &[u8], rules: &Rules) -> BTreeSet<String> {
    let snapshot = Snapshot::new(image).unwrap();
    let report = scan::run(&snapshot, NOW, rules).unwrap();
    let line = |verdict: scan::Verdict| {
        let scan::Verdict { address, rule, reason, .. } = verdict;
        let rule = rule.unwrap().name();
        let found = match rule {
            "domains" => reason.split(' ').nth(3),
            "helo" => reason.split(' ').nth(3),
            "senders" => reason.split(' ').nth(3),
            _ => None,
        };
        format!("{address} {rule} {}", found.unwrap_or_default())
    };
    report.traps(scan::Portion::None).map(line).collect()
}

#[test]
fn the_program_judges_as_the_model_does() {
    let mut by_rule = std::collections::BTreeMap::<String, usize>::new();
    let mut files = 0;
    for path in ["hash", "btree"].into_iter().flat_map(databases) {
        let image = fs::read(&path).unwrap();
        let Ok(snapshot) = Snapshot::new(&image) else { panic!("{path:?}") };
        for (number, rules) in settings().iter().enumerate() {
            let wanted = model::traps(&snapshot, NOW, rules);
            assert_eq!(verdicts(&image, rules), wanted, "{path:?} by setting {number}");
            for line in wanted {
                *by_rule.entry(line.split(' ').nth(1).unwrap().to_owned()).or_default() += 1;
            }
        }
        files += 1;
    }
    assert!(files >= 26, "{files}");
    for rule in ["syntax", "domains", "senders", "helo", "rcpt"] {
        assert!(by_rule.get(rule).is_some_and(|&traps| traps >= 10), "{rule}: {by_rule:?}");
    }
}

#[test]
fn hash_and_btree_of_the_same_records_are_judged_alike() {
    let mut compared = 0;
    for hash in databases("hash") {
        let btree = hash.with_file_name("../btree").join(hash.file_name().unwrap());
        // spamd's own were made by separate runs.
        if !btree.exists() || hash.file_stem().unwrap() == "spamd-made" {
            continue;
        }
        for rules in settings() {
            let judged = |path: &Path| verdicts(&fs::read(path).unwrap(), &rules);
            assert_eq!(judged(&hash), judged(&btree), "{hash:?}");
            compared += 1;
        }
    }
    assert!(compared > 40);
}

#[test]
fn a_damaged_database_is_not_judged() {
    let (mut refused, mut judged) = (0, 0);
    for path in ["damaged/hash", "damaged/btree"].into_iter().flat_map(databases) {
        let image = fs::read(&path).unwrap();
        let Ok(snapshot) = Snapshot::new(&image) else { continue };
        let mut told = Vec::new();
        let condition = snapshot.condition(&mut |damage| told.push(damage));
        let rules = offline();
        match scan::run(&snapshot, NOW, &rules) {
            Err(damage) => {
                assert_eq!(condition, Condition::Damaged, "{path:?}");
                let is_told = |one: &Damage| one.fault == damage.fault;
                assert!(told.iter().any(is_told), "{path:?}: {damage}, not of {told:?}");
                refused += 1;
            }
            Ok(_) => {
                assert_ne!(condition, Condition::Damaged, "{path:?}: {told:?}");
                judged += 1;
            }
        }
    }
    assert!(refused >= 10 && judged >= 2, "{refused} refused, {judged} judged");
}

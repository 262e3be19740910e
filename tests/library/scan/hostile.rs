//! What strangers may send: nothing disturbs a scan, and a bounce never traps a host.

use super::records::{judge, offline, record, traps};
use greytrapper::config::Rules;
use greytrapper::db::Record;
use greytrapper::scan::Portion;
use proptest::prelude::*;

fn any_record() -> impl Strategy<Value = Record<'static>> {
    let address = prop::sample::select(vec!["192.0.2.1", "2001:db8::1", "10.0.0.1", "x", ""]);
    let field = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(
                prop::sample::select(b"<>@.-_=+\"\\[]:ax1 \n\xc3\xbc".to_vec()),
                0..40
            ),
            Just(vec![b'a'; 1023]),
        ]
    };
    (address, prop::collection::vec(field(), 0..5), -3..2, any::<bool>()).prop_map(
        |(address, fields, pcount, is_short)| {
            let key = [vec![address.as_bytes().to_vec()], fields].concat().join(&b'\n');
            let mut record = record(key, pcount);
            if is_short {
                record.value.to_mut().truncate(20);
            }
            record
        },
    )
}

fn unlisted() -> Rules {
    let mut rules = offline();
    rules.rcpt.unlisted = true;
    rules.suspect_tuples = 0;
    rules.max_helo_names = Some(0);
    rules
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_records_disturb_it(records in prop::collection::vec(any_record(), 0..30)) {
        let rules = unlisted();
        let report = judge(&records, &rules);
        for verdict in report.verdicts(Portion::All) {
            prop_assert!(verdict.evidence.tuples().next().is_some());
            let reason = verdict.reason;
            prop_assert!(!reason.chars().any(char::is_control), "{}", reason);
        }
    }

    /// The rule `helo` does not look at senders.
    #[test]
    fn a_null_sender_never_traps(tuples in prop::collection::vec(("[a-z]{0,4}", "<[a-z]{1,3}@[a-z]{1,3}>", any::<bool>()), 0..40)) {
        let tuple = |(helo, to, has_brackets): &(String, String, bool)| {
            let from = if *has_brackets { "<>" } else { "" };
            record(format!("192.0.2.1\n{helo}\n{from}\n{to}"), 0)
        };
        let rules = Rules { suspect_tuples: 0, max_sender_domains: Some(0), max_sender_ratio: Some(0.0), max_helo_names: None, ..offline() };
        let records: Vec<_> = tuples.iter().map(tuple).collect();
        prop_assert_eq!(traps(&records, &rules), Vec::<String>::new());
    }
}

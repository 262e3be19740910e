//! The test suite of RFC 7208: all cases, each asked by a fresh resolver of a server with the zone data.
//!
//! Where the suite allows several results, any of them will do. Explanations are compared without regard to
//! case, since the RFC leaves the case of hexadecimal digits open.

use super::{check_host, claim};
use crate::support::golden::data;
use crate::support::zone::Zone;
use serde_json::Value;

fn suite() -> Vec<Value> {
    let text = std::fs::read(data("spf").join("rfc7208-tests.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Runs the cases of a scenario, which has so many.
fn run(description: &str, count: usize) {
    let suite = suite();
    let scenario = suite.iter().find(|scenario| scenario["description"] == description).unwrap();
    let server = Zone::of_suite(&scenario["zonedata"]).serve();
    let cases = scenario["tests"].as_object().unwrap();
    assert_eq!(cases.len(), count);
    let mut wrong = Vec::new();
    for (name, case) in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let report =
            check_host(server.address, &claim(text("host"), text("helo"), text("mailfrom")));
        let results = case["result"].as_array().unwrap();
        let is_right = results.iter().any(|result| result == report.result.word());
        if !is_right || !is_explained(case["explanation"].as_str(), report.explanation.as_deref()) {
            wrong.push(format!("{name}: {case}: {report:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_explained(wanted: Option<&str>, explanation: Option<&[u8]>) -> bool {
    match (wanted, explanation) {
        (None, _) | (Some("DEFAULT"), None) => true,
        (Some(wanted), Some(text)) => text.eq_ignore_ascii_case(wanted.as_bytes()),
        (Some(_), None) => false,
    }
}

macro_rules! scenarios {
    ($($name:ident $count:literal $description:literal)*) => {
        $(
            #[test]
            fn $name() {
                run($description, $count);
            }
        )*

        /// No scenario and no case is left out.
        #[test]
        fn all_203_cases_are_run() {
            let listed = [$(($description, $count)),*];
            let suite = suite();
            let count = |scenario: &Value| scenario["tests"].as_object().unwrap().len();
            let found: Vec<_> = suite
                .iter()
                .map(|scenario| (scenario["description"].as_str().unwrap(), count(scenario)))
                .collect();
            assert_eq!(found, listed);
            assert_eq!(listed.iter().map(|(_, count)| count).sum::<usize>(), 203);
        }
    };
}

scenarios! {
    initial_processing 16 "Initial processing"
    record_lookup 7 "Record lookup"
    selecting_records 10 "Selecting records"
    record_evaluation 12 "Record evaluation"
    all_mechanism_syntax 5 "ALL mechanism syntax"
    ptr_mechanism_syntax 8 "PTR mechanism syntax"
    a_mechanism_syntax 29 "A mechanism syntax"
    include_mechanism_semantics_and_syntax 9 "Include mechanism semantics and syntax"
    mx_mechanism_syntax 21 "MX mechanism syntax"
    exists_mechanism_syntax 7 "EXISTS mechanism syntax"
    ip4_mechanism_syntax 9 "IP4 mechanism syntax"
    ip6_mechanism_syntax 9 "IP6 mechanism syntax"
    semantics_of_exp_and_other_modifiers 24 "Semantics of exp and other modifiers"
    macro_expansion_rules 24 "Macro expansion rules"
    processing_limits 11 "Processing limits"
    test_cases_from_implementation_bugs 2 "Test cases from implementation bugs"
}

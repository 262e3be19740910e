//! `show metrics` is OpenMetrics, by a reader made from the specification's ABNF and its rules for types
//! (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>).

use std::collections::HashMap;

/// Samples by name and labels, as they stand; panics at the first line that is against the rules.
pub fn parse(text: &str) -> HashMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("# EOF at the end");
    let (mut types, mut samples) = (HashMap::new(), HashMap::new());
    let mut current = "";
    for line in body.lines() {
        if let Some(descriptor) = line.strip_prefix("# ") {
            let mut words = descriptor.splitn(3, ' ');
            let (keyword, family, rest) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            assert!(is_name(family), "{line}");
            match keyword {
                "TYPE" => assert!(types.insert(family, rest).is_none(), "twice: {line}"),
                "HELP" => assert!(!rest.is_empty(), "{line}"),
                "UNIT" => assert!(family.ends_with(&format!("_{rest}")), "{line}"),
                _ => panic!("{line}"),
            }
            current = family;
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let value: f64 = value.parse().expect(line);
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        labels_are_right(labels.strip_suffix('}').expect(line));
        let suffix = name.strip_prefix(current).unwrap_or_else(|| panic!("not {current}: {line}"));
        match (types.get(current).copied(), suffix) {
            (Some("counter"), "_total") => assert!(value >= 0.0, "{line}"),
            (Some("gauge"), "") => {}
            (Some("info"), "_info") => assert_eq!(value, 1.0, "{line}"),
            other => panic!("{other:?}: {line}"),
        }
        assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// `name="value",…`; no value of ours has an escape in it.
fn labels_are_right(labels: &str) {
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').expect(labels);
        assert!(is_name(name) && !name.contains(':'), "{labels}");
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        assert!(!value.expect(labels).contains(['"', '\\']), "{labels}");
    }
}

#[test]
fn the_reader_refuses_what_is_wrong() {
    for wrong in [
        "# TYPE a counter\na_total 1\n",
        "# TYPE a counter\na 1\n# EOF\n",
        "# TYPE a gauge\na 1\na 1\n# EOF\n",
        "# TYPE a gauge\nb 1\n# EOF\n",
        "# TYPE a gauge\na{b=c} 1\n# EOF\n",
        "# TYPE a gauge\na x\n# EOF\n",
        "a 1\n# EOF\n",
    ] {
        assert!(std::panic::catch_unwind(|| parse(wrong)).is_err(), "{wrong}");
    }
    assert_eq!(parse("# TYPE a gauge\na{b=\"c\"} 1\n# EOF\n")["a{b=\"c\"}"], 1.0);
}

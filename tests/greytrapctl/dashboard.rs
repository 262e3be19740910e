//! The dashboard in examples/ asks only for metrics and labels that `show metrics` prints, and for all of them.

use crate::metrics::metrics;
use crate::sample::status;
use regex::Regex;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The values of each label of each metric, as the program prints them.
type Known = HashMap<String, HashMap<String, HashSet<String>>>;

fn dashboard() -> Value {
    serde_json::from_str(include_str!("../../examples/grafana.json")).unwrap()
}

fn known() -> Known {
    let text = String::from_utf8(metrics(status())).unwrap();
    let label = Regex::new("([a-z]+)=\"([^\"]*)\"").unwrap();
    let mut known = Known::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let labels = known.entry(series.split('{').next().unwrap().to_owned()).or_default();
        for found in label.captures_iter(series) {
            labels.entry(found[1].into()).or_default().insert(found[2].into());
        }
    }
    known
}

/// The queries of a panel, each with its legend.
fn queries(panel: &Value) -> Vec<(&str, &str)> {
    let targets = panel["targets"].as_array().unwrap().iter();
    targets
        .map(|target| (target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap()))
        .collect()
}

/// The metrics of a query. Panics if one does not exist, or is asked for by a label or value that it does not
/// have.
fn asked<'q>(query: &'q str, known: &Known) -> Vec<&'q str> {
    let selector = Regex::new(r"\b(greytrapper_\w+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new("^([a-z]+)(?:=~?)\"([^\"]*)\"$").unwrap();
    let mut asked = Vec::new();
    for found in selector.captures_iter(query) {
        let labels = known.get(&found[1]).unwrap_or_else(|| panic!("no metric {}", &found[1]));
        for text in found.get(2).map_or("", |m| m.as_str()).split(", ").filter(|m| !m.is_empty()) {
            let wanted = matcher.captures(text).unwrap_or_else(|| panic!("{text} in {query}"));
            // Prometheus adds this one.
            if &wanted[1] == "instance" {
                continue;
            }
            let values = labels.get(&wanted[1]).unwrap_or_else(|| panic!("no label {text}"));
            assert!(wanted[2].split('|').all(|value| values.contains(value)), "{text} in {query}");
        }
        asked.push(found.get(1).unwrap().as_str());
    }
    asked
}

#[test]
fn the_dashboard_asks_only_for_what_there_is_and_for_all_of_it() {
    let (dashboard, known) = (dashboard(), known());
    let grouping = Regex::new(r"\b(?:by|on|group_left) \(([a-z, ]+)\)").unwrap();
    let legend = Regex::new(r"\{\{([a-z]+)\}\}").unwrap();
    let mut all = HashSet::new();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    for panel in panels.filter(|panel| panel["type"] != "row") {
        for (query, name) in queries(panel) {
            let balance = |open, close| query.matches(open).count() == query.matches(close).count();
            assert!(balance('(', ')') && balance('{', '}') && balance('[', ']'), "{query}");
            let metrics = asked(query, &known);
            assert!(!metrics.is_empty(), "{query}");
            let has = |label: &str| {
                label == "instance" || metrics.iter().any(|name| known[*name].contains_key(label))
            };
            for found in grouping.captures_iter(query) {
                assert!(found[1].split(", ").all(has), "{query}");
            }
            for found in legend.captures_iter(name) {
                assert!(has(&found[1]), "{name} of {query}");
            }
            all.extend(metrics);
        }
    }
    let all: HashSet<String> = all.into_iter().map(String::from).collect();
    assert_eq!(all, known.into_keys().collect());
}

#[test]
#[should_panic(expected = "no metric greytrapper_gone")]
fn a_metric_that_is_gone_is_noticed() {
    asked("sum(greytrapper_waiting_hosts) + greytrapper_gone{rule=\"dns\"}", &known());
}

#[test]
#[should_panic(expected = "rule=\"frob\"")]
fn a_rule_that_is_gone_is_noticed() {
    asked("rate(greytrapper_trapped_hosts_total{rule=\"frob\"}[1h])", &known());
}

/// Grafana has 24 columns.
#[test]
fn panels_are_told_apart_and_do_not_overlap() {
    let dashboard = dashboard();
    let (mut ids, mut cells) = (HashSet::new(), HashSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(!panel["title"].as_str().unwrap().is_empty());
        assert!(panel["type"] == "row" || panel["description"].is_string(), "{panel}");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && cells.insert((x, y)), "{panel}");
            }
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> =
        variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "instance"]);
    assert_eq!(asked(variables[1]["definition"].as_str().unwrap(), &known()).len(), 1);
}

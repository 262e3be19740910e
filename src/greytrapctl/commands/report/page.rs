//! The report as a page: one file in HTML, which needs no other and has no script.
//!
//! The template escapes every text; what would change the text around it is made visible before. Charts are
//! SVG in the page, light or dark as the reader's system has it.
#![forbid(unsafe_code)]

use super::{HOUR, Hour, NewRecipient, Released, Report};
use crate::control::status::RuleState;
use crate::date::{Date, Day};
use crate::escape::harmless;
use crate::scan::Rule;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeMap;

/// Bars in a chart: with more, one is narrower than a pixel of a telephone.
const BARS: i64 = 170;
/// The time that a bar may stand for, in hours: the shortest with which there are not too many.
const STEPS: [i64; 5] = [1, 3, 6, 24, 7 * 24];
/// Releases, and recipients, that are listed one by one.
const LISTED: usize = 200;
/// The height of a chart, in units of its own.
const HEIGHT: u64 = 100;
/// Between two hues that are next to each other in a list: the golden angle, in degrees.
const HUES: usize = 137;

const STYLE: &str = include_str!("page.css");

/// The page; the report ends at `now`, in seconds since 1970.
pub fn page(report: &Report, now: i64) -> String {
    let title = format!("greytrapper, {} to {}", Date(report.begin), Date(now));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body(report, now)) }
        }
    };
    page.into_string()
}

fn body(report: &Report, now: i64) -> Markup {
    html! {
        main {
            h1 { "greytrapper" }
            p.time { (Date(report.begin)) " to " (Date(now)) }
            (troubles(report))
            (sums(report))
            (chart("Trapped", report, now, |hour| &hour.trapped_by_rule))
            (chart("Observed only", report, now, |hour| &hour.observed_by_rule))
            div.tables {
                (table("Trapped by rule", "rule", &report.trapped_by_rule))
                (table("Observed only, by rule", "rule", &report.observed_by_rule))
                (table("Spared", "reason", &report.spared_by_reason))
                (table("Whitelisted after their trap", "rule", &report.passed_by_rule))
                (table("Confirmed by DNS after their trap", "rule", &report.confirmed_by_rule))
            }
            (records(&report.rules))
            (recipients(&report.new_recipients))
            (releases(&report.released))
        }
    }
}

fn troubles(report: &Report) -> Markup {
    let failure = report.last_failure.as_ref();
    html! {
        @if report.troubles.is_empty() && failure.is_none() {
            p.well { "All is well." }
        } @else {
            ul.ill {
                @for trouble in &report.troubles { li { (harmless(&trouble.text)) } }
                @if let Some(failure) = failure {
                    li { "Last failure, " (Date(failure.time)) ": " (harmless(&failure.text)) }
                }
            }
        }
    }
}

fn sums(report: &Report) -> Markup {
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    let good = sum(&report.passed_by_rule).saturating_add(sum(&report.confirmed_by_rule));
    let sums = [
        ("trapped", sum(&report.trapped_by_rule)),
        ("by hand", report.trapped_by_hand),
        ("observed only", sum(&report.observed_by_rule)),
        ("spared", sum(&report.spared_by_reason)),
        ("released", report.released.len() as u64),
        ("allowed since", report.allowed_hosts),
        ("proved good later", good),
    ];
    html! {
        dl.sums {
            @for (name, count) in sums { div { dt { (name) } dd { (count) } } }
        }
    }
}

/// What a bar of a chart stands for: when it begins, and counts by rule.
type Bar<'r> = (i64, BTreeMap<&'r str, u64>);

/// The hours that a bar stands for, and all bars.
fn bars(report: &Report, now: i64, of: fn(&Hour) -> &BTreeMap<String, u64>) -> (i64, Vec<Bar<'_>>) {
    let hours = now.saturating_sub(report.begin).max(0) / HOUR;
    let step = STEPS.into_iter().find(|step| hours / step < BARS).unwrap_or(7 * 24);
    let width = step * HOUR;
    let last = now.div_euclid(width);
    let first = report.begin.div_euclid(width).max(last.saturating_sub(BARS));
    let mut bars: Vec<_> =
        (first..=last).map(|bar| (bar.saturating_mul(width), BTreeMap::new())).collect();
    for hour in &report.hours {
        let place = hour.time.div_euclid(width).saturating_sub(first);
        let place = usize::try_from(place).ok();
        let Some((_, sums)) = place.and_then(|place| bars.get_mut(place)) else { continue };
        for (rule, count) in of(hour) {
            *sums.entry(rule.as_str()).or_default() += count;
        }
    }
    (step, bars)
}

/// Bars of counts, one on top of the other, by rule; nothing if there are none.
fn chart(
    title: &str,
    report: &Report,
    now: i64,
    of: fn(&Hour) -> &BTreeMap<String, u64>,
) -> Markup {
    let (step, bars) = bars(report, now, of);
    let most = bars.iter().map(|(_, sums)| sums.values().sum::<u64>()).max().unwrap_or_default();
    let mut rules: Vec<&str> = bars.iter().flat_map(|(_, sums)| sums.keys().copied()).collect();
    rules.sort_by_key(|rule| number(rule));
    rules.dedup();
    let time = match step {
        1 => "hour".into(),
        24 => "day".into(),
        168 => "week".into(),
        hours => format!("{hours} hours"),
    };
    html! {
        @if most > 0 {
            figure {
                figcaption { (title) " per " (time) ", " (most) " at most" }
                svg viewBox=(format!("0 0 {} {HEIGHT}", 10 * bars.len()))
                    preserveAspectRatio="none" role="img" aria-label=(title) {
                    @for (place, (begin, sums)) in bars.iter().enumerate() {
                        (bar(10 * place, *begin, sums, most))
                    }
                }
                div.axis {
                    span { (Date(report.begin)) }
                    span { (Date(now)) }
                }
                ul.legend {
                    @for rule in rules {
                        li { span.swatch style=(background(rule)) {} (harmless(rule)) }
                    }
                }
            }
        }
    }
}

fn bar(left: usize, begin: i64, sums: &BTreeMap<&str, u64>, most: u64) -> Markup {
    let scaled = |count: u64| count as f64 * HEIGHT as f64 / most as f64;
    let mut below = 0;
    let mut parts: Vec<_> = sums.iter().collect();
    parts.sort_by_key(|(rule, _)| number(rule));
    let parts = parts.into_iter().map(|(rule, count)| {
        below += count;
        (*rule, *count, HEIGHT as f64 - scaled(below), scaled(*count))
    });
    html! {
        @for (rule, count, top, height) in parts {
            rect x=(left) y=(format!("{top:.2}")) width="9" height=(format!("{height:.2}"))
                style=(fill(rule)) {
                title { (Date(begin)) " " (harmless(rule)) ": " (count) }
            }
        }
    }
}

/// The place of a rule among all.
fn number(rule: &str) -> usize {
    Rule::ALL.iter().position(|known| known.name() == rule).unwrap_or(Rule::ALL.len())
}

fn hue(rule: &str) -> usize {
    (210 + number(rule) * HUES) % 360
}

fn fill(rule: &str) -> String {
    format!("fill:hsl({} 55% var(--bar))", hue(rule))
}

fn background(rule: &str) -> String {
    format!("background:hsl({} 55% var(--bar))", hue(rule))
}

fn table(title: &str, what: &str, counts: &BTreeMap<String, u64>) -> Markup {
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    html! {
        @if !rows.is_empty() {
            table {
                caption { (title) }
                thead { tr { th scope="col" { (what) } th.number scope="col" { "hosts" } } }
                tbody {
                    @for (name, count) in rows {
                        tr { td { (harmless(name)) } td.number { (count) } }
                    }
                }
            }
        }
    }
}

fn records(rules: &[RuleState]) -> Markup {
    html! {
        @if !rules.is_empty() {
            div.wide { table {
                caption { "Rules that were wrong in the last 30 days" }
                thead {
                    tr {
                        th scope="col" { "rule" }
                        th scope="col" { "state" }
                        @for name in ["trapped", "released", "whitelisted", "confirmed"] {
                            th.number scope="col" { (name) }
                        }
                    }
                }
                tbody {
                    @for RuleState { rule, mode, trapped, released, passed, confirmed, .. } in rules {
                        tr {
                            td { (rule.name()) }
                            td { (mode.word()) }
                            @for count in [trapped, released, passed, confirmed] {
                                td.number { (count) }
                            }
                        }
                    }
                }
            } }
        }
    }
}

fn recipients(recipients: &[NewRecipient]) -> Markup {
    let unlisted = recipients.len().saturating_sub(LISTED);
    html! {
        @if !recipients.is_empty() {
            table {
                caption { "New recipients worth a spamtrap" }
                thead { tr { th scope="col" { "recipient" } th scope="col" { "first day" } } }
                tbody {
                    @for NewRecipient { recipient, first, .. } in recipients.iter().take(LISTED) {
                        tr { td { (harmless(recipient)) } td { (Day::of(*first)) } }
                    }
                }
            }
            @if unlisted > 0 { p { "And " (unlisted) " more." } }
        }
    }
}

fn releases(released: &[Released]) -> Markup {
    let unlisted = released.len().saturating_sub(LISTED);
    html! {
        @if !released.is_empty() {
            table {
                caption { "Released" }
                thead {
                    tr {
                        @for name in ["address", "rule", "reason"] { th scope="col" { (name) } }
                    }
                }
                tbody {
                    @for Released { address, rule, reason } in released.iter().take(LISTED) {
                        tr {
                            td { (address) }
                            td { (harmless(rule.as_deref().unwrap_or("-"))) }
                            td { (harmless(reason)) }
                        }
                    }
                }
            }
            @if unlisted > 0 { p { "And " (unlisted) " more." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::{About, Trouble};

    const BEGIN: i64 = 1_795_420_010;

    fn hour(time: i64, counts: &[(&str, u64)]) -> Hour {
        let counts = counts.iter().map(|(rule, count)| ((*rule).to_owned(), *count));
        Hour { time, trapped_by_rule: counts.collect(), observed_by_rule: BTreeMap::new() }
    }

    fn report() -> Report {
        let first = BEGIN - BEGIN % HOUR;
        Report {
            begin: BEGIN,
            hours: vec![
                hour(first, &[("helo", 2), ("dns", 6)]),
                hour(first + 5 * HOUR, &[("helo", 4)]),
            ],
            trapped_by_rule: BTreeMap::from([("helo".into(), 6), ("dns".into(), 6)]),
            ..Report::default()
        }
    }

    #[test]
    fn bars_have_the_height_of_their_counts() {
        let page = page(&report(), BEGIN + 24 * HOUR);
        // Two of eight are a quarter of the height, on top of which six are.
        assert!(page.contains("y=\"75.00\" width=\"9\" height=\"25.00\""), "{page}");
        assert!(page.contains("y=\"0.00\" width=\"9\" height=\"75.00\""), "{page}");
        assert!(page.contains("<rect x=\"50\" y=\"50.00\" width=\"9\" height=\"50.00\""), "{page}");
        assert!(page.contains("viewBox=\"0 0 250 100\""), "{page}");
        assert_eq!(page.matches("<svg").count(), 1, "nothing was observed");
    }

    #[test]
    fn a_long_time_has_few_bars() {
        let long = Report { begin: BEGIN - 900 * 24 * HOUR, ..report() };
        let (step, bars) = bars(&long, BEGIN, |hour| &hour.trapped_by_rule);
        assert_eq!(step, 168);
        assert!(bars.len() < 140);
        assert!(
            super::bars(&Report { begin: i64::MIN, ..report() }, i64::MAX, |hour| {
                &hour.trapped_by_rule
            })
            .1
            .len()
                <= 171
        );
    }

    #[test]
    fn nothing_in_a_page_is_what_a_stranger_wrote() {
        let evil = "</style><script>alert(1)</script>\u{202e}\"'&";
        let mut report = report();
        report.spared_by_reason.insert(evil.into(), 1);
        report.trapped_by_rule.insert(evil.into(), 1);
        report.hours[0].trapped_by_rule.insert(evil.into(), 1);
        let address = "192.0.2.1".parse().unwrap();
        report.released.push(Released { address, rule: Some(evil.into()), reason: evil.into() });
        report.new_recipients.push(NewRecipient { recipient: evil.into(), networks: 11, first: 5 });
        report.troubles.push(Trouble { about: About::Dns, text: evil.into() });
        let page = page(&report, BEGIN + HOUR);
        assert!(!page.contains("<script") && !page.contains("alert(1)</script>"), "{page}");
        assert!(!page.contains('\u{202e}'));
        assert!(page.contains("New recipients worth a spamtrap"));
        assert_eq!(page.matches("</style>").count(), 1);
        for outside in ["src=", "href=", "url(", "http:", "https:", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_quiet_day_has_a_page_too() {
        let page = page(&Report::default(), 0);
        assert!(page.contains("All is well.") && !page.contains("<svg"), "{page}");
    }
}

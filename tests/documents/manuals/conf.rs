//! greytrapper.conf(5) and the grammar: statements made from each synopsis load, with the bounds and
//! the defaults that the text states; each keyword of the grammar is in a synopsis; examples load.

use super::ask::load_text;
use super::mdoc::{Element, Item, Manual};
use greytrapper::config::Config;
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;

/// Without it `trap rcpt unlisted` would trap everybody.
const PASS: &str = "pass rcpt \"^abuse@\"\n";

fn manual() -> Manual {
    Manual::read("greytrapper.conf.5")
}

/// The items about statements, and those about options of `dns`.
fn synopses() -> (Vec<Item>, Vec<Item>) {
    let sections = ["Other files", "The database", "What is judged", "DNS"];
    let items = sections
        .into_iter()
        .chain(["Memory", "Control and synchronisation"])
        .flat_map(|title| manual().section(title).items());
    let options = ["nameserver", "in", "timeout", "attempts"];
    items.partition(|item| !options.contains(&item.head[0].word().unwrap()))
}

/// Something that an argument may stand for, within all bounds.
fn sample(argument: &str) -> &'static str {
    match argument {
        "file" | "path" => "\"/etc/some\"",
        "program" => "\"/bin/some\"",
        "duration" => "1m",
        "number" => "7",
        "ratio" => "0.5",
        "rule" => "helo",
        "percentage" => "5%",
        "size" => "64M",
        "regex" => "\"^a@\"",
        "network" => "192.0.2.0/24",
        "address" => "192.0.2.1",
        "name" => "\"*.example.net\"",
        "day" => "2099-01-31",
        "host" => "mx2.example.org",
        "zone" => "\"list.example.net\"",
        "answer" => "127.0.0.2",
        "interface" => "em0",
        other => panic!("what is {other}?"),
    }
}

/// Every text that a synopsis allows; `value` says what arguments stand for, by their number.
fn texts(head: &[Element], value: &dyn Fn(usize, &str) -> String) -> Vec<String> {
    let mut texts = vec![String::new()];
    // What the next alternative replaces, and what is yet to be had without an option.
    let (mut before, mut without) = (Vec::new(), Vec::new());
    let (mut arguments, mut is_alternative) = (0, false);
    for element in head {
        let piece = match element {
            Element::Word(word) => word.clone(),
            Element::Argument(name) => {
                arguments += 1;
                value(arguments - 1, name)
            }
            Element::Brace => "{".into(),
            Element::Unbrace => "}".into(),
            Element::Open => {
                without.clone_from(&texts);
                continue;
            }
            Element::Close => {
                texts.append(&mut without);
                continue;
            }
            Element::Or => {
                is_alternative = true;
                continue;
            }
            Element::Text(text) if text == "," || text == "..." => continue,
            other => panic!("{other:?} in {head:?}"),
        };
        if is_alternative {
            let other = before.iter().map(|text: &String| format!("{text} {piece}"));
            texts.extend(other.collect::<Vec<_>>());
            is_alternative = false;
        } else {
            before.clone_from(&texts);
            texts.iter_mut().for_each(|text| *text = format!("{text} {piece}"));
        }
    }
    texts
}

/// The same with samples.
fn samples(head: &[Element]) -> Vec<String> {
    texts(head, &|_, name| sample(name).into())
}

/// All statements that the manual's synopses make.
fn statements() -> Vec<String> {
    let (statements, options) = synopses();
    let options: Vec<String> = options.iter().flat_map(|item| samples(&item.head)).collect();
    let mut all = Vec::new();
    for item in statements {
        if item.head.contains(&Element::Argument("option".into())) {
            all.extend(options.iter().map(|option| format!("dns {{ {option} }}")));
        } else {
            all.extend(samples(&item.head));
        }
    }
    all
}

#[test]
fn every_statement_of_the_manual_loads() {
    let statements = statements();
    assert!(statements.len() > 35, "{statements:#?}");
    for statement in statements {
        let loaded = load_text(&format!("{PASS}{statement}\n"));
        loaded.unwrap_or_else(|faults| panic!("{statement}: {faults}"));
    }
}

/// The words that the grammar asks for, as they stand in its source.
fn keywords() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/grammar.rs");
    let source = fs::read_to_string(path).unwrap();
    let code = source.split("#[cfg(test)]").next().unwrap();
    // Rows of tables, words that must or may follow, and words that a macro cannot be.
    let places =
        [r#"(?:^|[\s\[])\("([a-z]+)","#, r#"(?:expect|take_keyword|Token::Word)\("([a-z]+)""#];
    let places = places.map(|place| Regex::new(place).unwrap());
    let found = places.iter().flat_map(|place| place.captures_iter(code));
    found.map(|keyword| keyword[1].to_string()).collect()
}

#[test]
fn every_keyword_of_the_grammar_is_in_a_synopsis() {
    let (mut items, options) = synopses();
    items.extend(options);
    let words = items.iter().flat_map(|item| &item.head).filter_map(Element::word);
    let documented: BTreeSet<String> = words.map(String::from).collect();
    let keywords = keywords();
    assert!(keywords.len() > 40, "{keywords:?}");
    assert_eq!(documented, keywords);
}

#[test]
fn the_units_of_durations_are_those_of_the_manual() {
    let text = manual().section("DESCRIPTION").elements();
    let units: Vec<&str> = text.iter().filter_map(Element::word).filter(|w| w.len() == 1).collect();
    let is_unit = |unit: &char| {
        let faults = load_text(&format!("trap for 90{unit}\n")).err().unwrap_or_default();
        !faults.contains("expected a duration")
    };
    let known: Vec<String> = ('!'..='~')
        .filter(|c| c.is_alphanumeric() && !c.is_ascii_digit())
        .filter(is_unit)
        .map(String::from)
        .collect();
    assert_eq!(known.len(), 5);
    let mut sorted = units.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, known);
}

/// One less or one more than a bound.
fn beyond(bound: &str, step: i64) -> String {
    let digits = bound.trim_end_matches(char::is_alphabetic);
    let seconds = match &bound[digits.len()..] {
        "" => 0,
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "w" => 7 * 24 * 3600,
        "M" => return (size(digits, 20) + step).to_string(),
        "G" => return (size(digits, 30) + step).to_string(),
        other => panic!("{other} in {bound}"),
    };
    let number: i64 = digits.parse().unwrap();
    match seconds {
        0 if step > 0 && number == 1 => "1.01".into(),
        0 => (number + step).to_string(),
        seconds => format!("{}s", number * seconds + step),
    }
}

fn size(digits: &str, shift: u32) -> i64 {
    digits.parse::<i64>().unwrap() << shift
}

#[test]
fn the_bounds_of_the_manual_are_those_of_the_code() {
    let between = Regex::new(r"[Bb]etween (\w+) and (\w+)").unwrap();
    let (mut items, options) = synopses();
    let statements = items.len();
    items.extend(options);
    let mut checked = 0;
    for (number, item) in items.iter().enumerate() {
        let text = item.body.text();
        let bounds: Vec<_> = between.captures_iter(&text).map(|b| b.extract().1).collect();
        let is_number = |e: &&Element| {
            let Element::Argument(name) = e else { return false };
            ["number", "duration", "ratio", "size"].contains(&name.as_str())
        };
        // A port's bounds are no news.
        let numbers = item.head.iter().filter(is_number).count();
        assert!(bounds.len() == numbers || bounds.is_empty(), "{:?}", item.head);
        let arguments = item.head.iter().filter(|e| matches!(e, Element::Argument(_)));
        let places: Vec<_> =
            arguments.enumerate().filter(|(_, e)| is_number(e)).map(|(place, _)| place).collect();
        for (which, [least, most]) in bounds.into_iter().enumerate() {
            let load = |bound: &str| {
                let place = places[which];
                let value =
                    |at, name: &str| if at == place { bound } else { sample(name) }.to_string();
                let text = texts(&item.head, &value).remove(0);
                let text = if number < statements { text } else { format!("dns {{ {text} }}") };
                load_text(&format!("{PASS}{text}\n")).err().unwrap_or_default()
            };
            assert_eq!((load(least), load(most)), ("".into(), "".into()), "{:?}", item.head);
            let expected = format!("must be between {least} and {most}\n");
            let too_little = load(&beyond(least, -1));
            assert!(too_little.ends_with(&expected) || least == "0", "{expected}: {too_little}");
            let too_much = load(&beyond(most, 1));
            assert!(too_much.ends_with(&expected), "{expected}: {too_much}");
            checked += 1;
        }
    }
    assert_eq!(checked, 16);
}

#[test]
fn the_defaults_of_the_manual_are_those_of_the_code() {
    let default = Regex::new(r"The default is (\S+(?: per \S+)?)").unwrap();
    let (mut items, options) = synopses();
    let statements = items.len();
    items.extend(options);
    let mut checked = 0;
    for (number, item) in items.iter().enumerate() {
        let text = item.body.text();
        // A key need not exist.
        let Some(found) = default.captures(&text) else { continue };
        // The first of several choices is none.
        let is_choice = |word: &&str| ["yes", "libc"].contains(word);
        let words = item.head.iter().map_while(Element::word).take_while(|word| !is_choice(word));
        let words = words.collect::<Vec<_>>().join(" ");
        let statement = format!("{words} {}", found[1].trim_end_matches(['.', ';']));
        let text = if number < statements { statement } else { format!("dns {{ {statement} }}") };
        if text != "sync key spamd's," {
            let loaded = load_text(&text).unwrap_or_else(|faults| panic!("{text}: {faults}"));
            assert_eq!(loaded.config, Config::default(), "{text}");
            checked += 1;
        }
    }
    assert_eq!(checked, 27);
}

#[test]
fn every_example_of_the_manual_loads() {
    let is_command = |text: &String| text.starts_with("$ ");
    let examples: Vec<String> =
        SECTIONS.iter().flat_map(|title| manual().section(title).displays()).collect();
    let (commands, examples): (Vec<_>, Vec<_>) = examples.into_iter().partition(is_command);
    assert_eq!(commands, ["$ greytrapper -nv -f /etc/mail/greytrapper.conf"]);
    assert!(examples.len() > 25, "{examples:?}");
    for example in examples {
        // Single statements may lack what they are good for.
        let is_whole = example.contains('\n');
        let text = if is_whole { example } else { format!("{PASS}{example}") };
        let loaded = load_text(&text).unwrap_or_else(|faults| panic!("{text}: {faults}"));
        assert!(!is_whole || loaded.warnings.is_empty(), "{text}: {:?}", loaded.warnings);
    }
}

/// The sections with examples.
const SECTIONS: [&str; 8] = [
    "Macros",
    "Other files",
    "The database",
    "What is judged",
    "DNS",
    "Memory",
    "Control and synchronisation",
    "EXAMPLES",
];

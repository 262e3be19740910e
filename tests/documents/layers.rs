//! Which part of the source may use which: arrows only go down, and no two folders use each other.
//!
//! This is read from the paths in the source (`crate::…`, `super::…`), without unit tests. A part knows
//! nothing about those above it.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The folders and files of src/, the programs first. A part uses parts of lower rows only, never one of
/// its own row. A new part needs a place here.
const ROWS: [&[&str]; 8] = [
    &["daemon", "greytrapctl"],
    &["checker", "control", "inquiry", "process", "sync"],
    &["scan"],
    &["dns", "spamd"],
    &["db"],
    &["config"],
    &["frame", "heap", "log", "machine", "memory", "name", "threads"],
    &["date", "errno", "escape", "evidence", "plural"],
];

/// A path in the source: where it is written, and what it leads to, both from the crate's root.
type Arrow = (Vec<String>, Vec<String>);

fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

/// The modules of a folder and of those in it.
fn modules(folder: &Path, found: &mut Vec<Vec<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            modules(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let inside = path.strip_prefix(source()).unwrap().with_extension("");
            let module = inside.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
            found.push(module);
        }
    }
}

/// Every path in the source that begins at the root or goes up.
fn arrows() -> Vec<Arrow> {
    let mut files = Vec::new();
    modules(source(), &mut files);
    files.retain(|file| file[0] != "bin" && file[0] != "lib");
    let start = Regex::new(r"\b(crate|super)::").unwrap();
    let mut arrows = Vec::new();
    for file in files {
        let text = fs::read_to_string(source().join(file.join("/")).with_extension("rs")).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code: String =
            text.lines().flat_map(|line| [line.split("//").next().unwrap(), "\n"]).collect();
        let mut module = file.clone();
        module.pop_if(|name| name == "mod");
        let mut from = 0;
        while let Some(found) = start.find_at(&code, from) {
            let mut ends = Vec::new();
            from = found.start() + expand(&code[found.start()..], &module, &mut ends);
            arrows.extend(ends.into_iter().map(|end| (file.clone(), end)));
        }
    }
    arrows
}

/// The paths that `text` begins with, `{…}` multiplied out; how long they are.
fn expand(text: &str, module: &[String], ends: &mut Vec<Vec<String>>) -> usize {
    let mut path = module.to_vec();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if rest.starts_with('{') {
            at += 1;
            while !text[at..].starts_with('}') {
                let length = expand(&text[at..], &path, ends);
                at += length.max(1);
            }
            return at + 1;
        }
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        match &rest[..length] {
            "crate" => path.clear(),
            "super" => drop(path.pop()),
            "" | "self" => {}
            name => path.push(name.to_owned()),
        }
        at += length;
        if !text[at..].starts_with("::") || length == 0 {
            if length > 0 {
                ends.push(path);
            }
            return at;
        }
        at += 2;
    }
}

/// The first names in which two paths differ, and what they have in common; none if one is within the
/// other.
fn parting((from, to): &Arrow) -> Option<(&[String], &str, &str)> {
    let at = from.iter().zip(to).position(|(one, other)| one != other)?;
    Some((&from[..at], &from[at], &to[at]))
}

#[test]
fn arrows_go_down_only() {
    let row = |part: &str| {
        let found = ROWS.iter().position(|row| row.contains(&part));
        found.unwrap_or_else(|| panic!("src/{part} has no row"))
    };
    let arrows = arrows();
    let apart: Vec<_> =
        arrows.iter().filter_map(parting).filter(|(above, ..)| above.is_empty()).collect();
    let wrong: BTreeSet<_> = apart
        .iter()
        .filter(|(_, from, to)| row(from) >= row(to))
        .map(|(_, from, to)| format!("{from} uses {to}"))
        .collect();
    assert_eq!(wrong, BTreeSet::new());
    // Or nothing was read.
    let uses = |from: &str, to: &str| apart.iter().any(|(_, a, b)| (*a, *b) == (from, to));
    assert!(uses("daemon", "scan") && uses("scan", "spamd") && uses("log", "escape"));
}

#[test]
fn no_folder_uses_one_that_uses_it() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let arrows = arrows();
    for (above, from, to) in arrows.iter().filter_map(parting) {
        let name = |part: &str| [above, &[part.to_owned()]].concat().join("/");
        let (from, to) = (name(from), name(to));
        if above.is_empty() || [&from, &to].iter().all(|name| source().join(name).is_dir()) {
            uses.entry(from).or_default().insert(to);
        }
    }
    assert!(uses.len() > 10, "{uses:?}");
    for start in uses.keys() {
        let mut reached = BTreeSet::new();
        let mut left: Vec<_> = uses[start].iter().collect();
        while let Some(next) = left.pop() {
            if reached.insert(next) {
                left.extend(uses.get(next).into_iter().flatten());
            }
        }
        assert!(!reached.contains(start), "{start} uses what uses it: {reached:?}");
    }
}

#[test]
fn paths_are_read_from_the_source() {
    let module = ["a", "b"].map(String::from);
    let read = |text: &str| {
        let mut ends = Vec::new();
        let length = expand(text, &module, &mut ends);
        (ends.iter().map(|end| end.join("/")).collect::<Vec<_>>().join(" "), length)
    };
    assert_eq!(read("crate::c::D;"), ("c/D".into(), 11));
    assert_eq!(read("super::e(1)"), ("a/e".into(), 8));
    assert_eq!(read("super::super::f::{g, h::{self, I}};").0, "f/g f/h f/h/I");
    assert_eq!(read("crate::{ j::K,    l };"), ("j/K l".into(), 21));
}

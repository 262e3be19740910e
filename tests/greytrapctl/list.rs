//! `list`: prints exactly what the real spamdb prints.

use crate::support::cmd::{Dir, ctl, data, databases};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

#[test]
fn every_golden_database_as_spamdb_printed_it() {
    let mut compared = 0;
    for file in ["hash", "btree", "listing"].into_iter().flat_map(databases) {
        let ran = ctl([OsStr::new("list"), file.as_os_str()]).run();
        assert_eq!(ran.status, Some(0), "{file:?}: {}", ran.err);
        let expected = fs::read(file.with_extension("txt")).unwrap();
        assert!(ran.out == expected, "{file:?} is listed differently");
        compared += 1;
    }
    assert!(compared >= 31, "only {compared} golden files");
}

/// The databases before and after spamdb's changes have no listings of their own but these.
#[test]
fn the_databases_that_are_changed_in_other_tests() {
    for format in ["hash", "btree"] {
        let listing = fs::read(data(&format!("ops/{format}/before.txt"))).unwrap();
        let file = data(&format!("ops/{format}/before.db"));
        assert_eq!(ctl([OsStr::new("list"), file.as_os_str()]).succeeds(), listing);
    }
}

/// spamdb stops at the first of them.
#[test]
fn foreign_records_are_skipped_and_counted_or_named() {
    let file = data("listing/foreign.db");
    let shown = file.display();
    let expected = fs::read(file.with_extension("txt")).unwrap();
    let ran = ctl([OsStr::new("list"), file.as_os_str()]).run();
    assert_eq!((ran.status, &ran.out), (Some(0), &expected));
    assert_eq!(
        ran.err,
        format!("greytrapctl: {shown}: 5 records not spamd's, skipped (-v names them)\n")
    );

    let ran = ctl([OsStr::new("-v"), OsStr::new("list"), file.as_os_str()]).run();
    assert_eq!((ran.status, &ran.out), (Some(0), &expected));
    let mut named: Vec<_> = ran.err.lines().skip(1).collect();
    named.sort_unstable();
    let record = |text| format!("greytrapctl: {shown}: record {text}");
    assert_eq!(
        named,
        [
            record("\"\" skipped: empty key"),
            record("\"192.0.2.20\" skipped: value of 33 bytes"),
            record("\"192.0.2.21\" skipped: value of 0 bytes"),
            record("\"192.0.2.22\\012helo\" skipped: no sender in grey key"),
            record(
                "\"192.0.2.23\\012he\\000lo\\012<a@b>\\012<c@d>\" skipped: no sender in grey key"
            ),
        ]
    );
}

#[test]
fn an_empty_file_is_an_empty_database() {
    let dir = Dir::new();
    let file = dir.path("spamd");
    fs::write(&file, b"").unwrap();
    assert_eq!(ctl([OsStr::new("list"), file.as_os_str()]).succeeds(), b"");
    assert_eq!(ctl([OsStr::new("check"), file.as_os_str()]).succeeds(), b"");
}

/// The JSON says the same as the text, and every byte can be recovered from it.
#[test]
fn json_lines_hold_what_the_text_holds() {
    let files = ["hash", "btree"].into_iter().flat_map(databases);
    for file in files.chain(["listing/extremes.db", "listing/nul.db"].map(data)) {
        let json = ctl([OsStr::new("-j"), OsStr::new("list"), file.as_os_str()]).succeeds();
        let text: Vec<u8> = str::from_utf8(&json).unwrap().lines().flat_map(as_text).collect();
        let expected = fs::read(file.with_extension("txt")).unwrap();
        assert!(text == expected, "{file:?} differs in JSON");
    }
}

/// A JSON line as spamdb would have printed it.
fn as_text(line: &str) -> Vec<u8> {
    let object: Value = serde_json::from_str(line).unwrap();
    let text = |field: &str| unescaped(object[field].as_str().unwrap());
    let number = |field: &str| object[field].as_i64().unwrap().to_string().into_bytes();
    let numbers = || ["first", "pass", "expire", "block_count", "pass_count"].map(number);
    let kind = object["type"].as_str().unwrap();
    let mut fields = vec![kind.as_bytes().to_vec(), text("address")];
    match kind {
        "GREY" => {
            fields.extend(["helo", "from", "to"].map(text));
            fields.extend(numbers());
        }
        "WHITE" => {
            fields.extend([vec![], vec![]]);
            fields.extend(numbers());
        }
        "TRAPPED" => fields.push(number("expire")),
        other => assert_eq!(other, "SPAMTRAP"),
    }
    let mut line = fields.join(&b'|');
    line.push(b'\n');
    line
}

/// Undoes the escaping that the manual describes.
fn unescaped(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut bytes = Vec::new();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            bytes.push(*byte);
        } else if rest[0] == b'\\' {
            bytes.push(b'\\');
            rest = &rest[1..];
        } else {
            let octal = str::from_utf8(&rest[..3]).unwrap();
            bytes.push(u8::from_str_radix(octal, 8).unwrap());
            rest = &rest[3..];
        }
    }
    bytes
}

/// Like `greytrapctl list FILE | head`.
#[test]
fn a_reader_that_has_gone_ends_it_without_a_word() {
    let file = data("hash/multi.db");
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    let mut command = ctl([OsStr::new("list"), file.as_os_str()]).0;
    let output = command.stdout(Stdio::from(OwnedFd::from(theirs))).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
#[cfg_attr(any(target_os = "openbsd", target_os = "macos"), ignore = "no /dev/full")]
fn output_that_cannot_be_written_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = ctl([OsStr::new("list"), data("hash/multi.db").as_os_str()]).0;
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = "greytrapctl: standard output: No space left on device\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
}

//! What several of the tests need: configurations without files, and the programs run.

use greytrapper::config::{Diagnostic, Loaded, Source, load};
use std::io;
use std::path::Path;
use std::process::{Command, Output};

/// A text as `x.conf`; every other file is there and empty, and every path a program.
struct Text(String);

impl Source for Text {
    fn read(&self, path: &Path, _limit: usize) -> io::Result<Vec<u8>> {
        let is_ours = path == Path::new("x.conf");
        Ok(if is_ours { self.0.clone().into_bytes() } else { Vec::new() })
    }

    fn is_program(&self, _path: &Path) -> bool {
        true
    }
}

/// Loads a configuration; its faults or warnings as one text if there are any.
pub fn load_text(text: &str) -> Result<Loaded, String> {
    let lines = |faults: Vec<Diagnostic>| faults.iter().map(|fault| format!("{fault}\n")).collect();
    load(Some(Path::new("x.conf")), &[], &Text(text.to_string())).map_err(lines)
}

/// Runs a program with its arguments: status, standard output, standard error.
pub fn run(program: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(program).args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

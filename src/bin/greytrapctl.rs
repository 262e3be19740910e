//! greytrapctl(8), the program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    greytrapper::greytrapctl::main(std::env::args_os().skip(1))
}

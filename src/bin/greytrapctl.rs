//! greytrapctl(8): what an operator says to greytrapper, or does to a spamd database without it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    greytrapper::greytrapctl::main(std::env::args_os().skip(1))
}

//! greytrapper(8), the program.
//!
//! In: the command line. Out: the exit status. Everything between is the library's: [`daemon::run`].
#![forbid(unsafe_code)]

use greytrapper::daemon;
use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::run(std::env::args_os())
}

//! greytrapper(8), the program.
//!
//! In: the command line. Out: the exit status. The library does everything in between: [`daemon::run`].
#![forbid(unsafe_code)]

use greytrapper::daemon;
use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::run(std::env::args_os())
}

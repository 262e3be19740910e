//! greytrapper(8): the command line to the library, its exit status back.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    greytrapper::daemon::run(std::env::args_os())
}

//! A separate process for a test that changes limits, standard streams or the working directory.

use std::process::Command;

const ALONE: &str = "GREYTRAPPER_TEST_ALONE";

/// Whether this process runs one test alone. If not, [`run`] has one do so.
pub fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs this executable once more for one test (`module::name`), by way of `through` and its arguments
/// if there are any; what it said.
pub fn run(test: &str, through: &[&str], prepare: impl FnOnce(&mut Command)) -> String {
    let executable = std::env::current_exe().unwrap();
    let mut command = match through {
        [] => Command::new(executable),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(executable);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--include-ignored"]).env(ALONE, "1");
    prepare(&mut command);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    // A name that is none runs nothing, and ends well.
    assert!(output.status.success() && said.contains("1 passed"), "{test}: {said}");
    said
}

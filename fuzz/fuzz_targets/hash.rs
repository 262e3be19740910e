#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/support/fuzz_targets.rs"]
mod targets;

fuzz_target!(|data: &[u8]| targets::hash(data));

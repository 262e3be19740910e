//! greytrapper(8).
fn main() {}

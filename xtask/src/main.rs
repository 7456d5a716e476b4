//! Build, run, test, measure and check Trapline.
fn main() {}

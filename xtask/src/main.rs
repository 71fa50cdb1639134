//! Build and upkeep.
fn main() {}

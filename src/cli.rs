//! The commands, a file each. They say what they did and what went wrong; only `main` exits.

pub mod check;
pub mod export;
mod machine;
pub mod say;
pub mod schema;
pub mod serve;

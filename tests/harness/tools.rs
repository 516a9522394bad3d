//! The real programs that some tests run: found where `scripts/tools` puts them.
//!
//! A test whose tool is missing is skipped and written down, and `scripts/test` counts those
//! aloud. Where `TOLLGATE_TEST_REQUIRE_TOOLS` is set, as in CI, a missing tool fails the test.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the tool stands, or nothing if the test is to be skipped.
pub fn find(tool: &str, test: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin").join(tool);
    if path.exists() {
        return Some(path);
    }
    skip(tool, test, "scripts/tools fetches it");
    None
}

/// A tool that most machines have, or nothing if the test is to be skipped.
pub fn installed(tool: &str, test: &str) -> Option<PathBuf> {
    if Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok() {
        return Some(tool.into());
    }
    skip(tool, test, "install it with your system's packages");
    None
}

fn skip(tool: &str, test: &str, remedy: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let missing = format!("{test}: {tool} is missing; {remedy}");
    assert!(std::env::var_os("TOLLGATE_TEST_REQUIRE_TOOLS").is_none(), "{missing}");
    eprintln!("SKIPPED {missing}");
    let skipped = OpenOptions::new().create(true).append(true).open(root.join("skipped-tests"));
    // The note is for people; a test is not to fail for want of it.
    let _ = skipped.and_then(|mut file| writeln!(file, "{missing}"));
}

//! The style of the house, as a test: who may use whom, how long things may grow, and who alone
//! may read the clock and the environment.
//!
//! Reads the sources as text. It is strict about what it can see and blind to the rest; what it
//! finds is to be mended there, not here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const WIDTH_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

/// Each room and the rooms that it may use, itself aside. Whatever is not listed is forbidden.
const ROOMS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("calendar", &["time"]),
    ("alert", &["time"]),
    ("guard", &["time"]),
    ("key", &[]),
    ("limit", &["alert", "calendar", "key", "time"]),
    ("query", &["key", "limit"]),
    ("queue", &["key"]),
    ("algorithm", &["calendar", "limit", "time"]),
    ("store", &["algorithm", "guard", "key", "limit", "time"]),
    ("directory", &["calendar", "limit", "time"]),
    ("rules", &["alert", "directory", "guard", "key", "limit", "query"]),
    (
        "limiter",
        &[
            "algorithm",
            "calendar",
            "directory",
            "guard",
            "key",
            "limit",
            "query",
            "queue",
            "rules",
            "store",
            "time",
        ],
    ),
    ("answer", &["limit", "limiter", "query", "rules", "time"]),
    ("notify", &["alert", "calendar", "time"]),
    ("config", &["alert", "calendar", "directory", "guard", "key", "limit", "rules", "time"]),
    (
        "gate",
        &["alert", "directory", "limiter", "notify", "query", "queue", "rules", "store", "time"],
    ),
    ("audit", &["calendar", "time"]),
    (
        "quota",
        &[
            "algorithm",
            "audit",
            "calendar",
            "directory",
            "gate",
            "key",
            "limit",
            "limiter",
            "query",
            "rules",
            "store",
            "time",
        ],
    ),
    ("transport", &["audit"]),
    (
        "grpc",
        &[
            "answer",
            "audit",
            "directory",
            "gate",
            "limit",
            "limiter",
            "query",
            "queue",
            "quota",
            "store",
            "time",
            "transport",
        ],
    ),
    ("http", &["audit", "directory", "gate", "grpc", "key", "quota", "store", "time"]),
    ("server", &["audit", "gate", "grpc", "http", "notify", "quota", "store", "time", "transport"]),
    ("settings", &[]),
    (
        "cli",
        &[
            "audit",
            "config",
            "gate",
            "http",
            "key",
            "limit",
            "rules",
            "server",
            "settings",
            "store",
            "time",
            "transport",
        ],
    ),
];

/// Words that only some rooms may say, and why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["time"], "the clock is read in one place and passed down"),
    ("Instant::now", &["time"], "the clock is read in one place and passed down"),
    ("env::var", &[], "the environment is read through src/settings.rs"),
    ("env = \"", &["settings"], "the environment is read in one place"),
    ("process::exit", &[], "only main ends the process, by returning"),
    ("tonic::", &["grpc", "http", "server", "transport"], "wire types stop at the rim"),
    ("axum", &["http", "transport"], "wire types stop at the rim"),
    ("prost", &["grpc"], "wire types stop at the rim"),
    (
        "serde",
        &["audit", "cli", "config", "directory", "http", "notify", "store"],
        "the core is no file format",
    ),
    ("tokio::spawn", &["server", "transport", "cli", "main"], "assembly is the only spawner"),
    ("unwrap()", &[], "an error has a name, and what cannot happen is expected with a reason"),
    ("println!", &[], "it panics when nobody reads; cli/say.rs does not"),
    ("print!", &[], "it panics when nobody reads; cli/say.rs does not"),
];

/// Words that are left where something was to be done, written so that this file has none.
const REMINDERS: &[&str] = &["TO\u{44}O", "FIX\u{4d}E", "XX\u{58}", "HA\u{43}K"];

struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// The room a source file belongs to: the first part of its path below `src`.
    fn room(&self) -> String {
        let below = self.path.strip_prefix(root().join("src")).expect("a file of src");
        let first = below.components().next().expect("a path has parts");
        Path::new(&first).with_extension("").display().to_string()
    }

    /// The lines of a file without its tests, which may do as they like.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().take_while(|line| *line != "#[cfg(test)]");
        (1..).zip(lines).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn at(&self, line: usize) -> String {
        let below = self.path.strip_prefix(root()).expect("a file of ours");
        format!("{}:{line}", below.display())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below the folders, in a fixed order.
fn files(folders: &[&str]) -> Vec<File> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut paths = BTreeSet::new();
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                paths.insert(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a readable file");
        File { path, text }
    };
    let files: Vec<_> = paths.into_iter().map(read).collect();
    assert!(!files.is_empty(), "the sources are where this test looks for them");
    files
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut problems = Vec::new();
    for file in files(&["src"]) {
        let room = file.room();
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            problems.push(format!("{}: room `{room}` is not in the table", file.at(1)));
            continue;
        };
        for (number, line) in file.code() {
            if line.contains("crate::{") {
                problems.push(format!("{}: one `use` for each room", file.at(number)));
            }
            for used in rooms_named(line) {
                if used != room && !allowed.contains(&used.as_str()) {
                    problems.push(format!("{}: {room} must not use {used}", file.at(number)));
                }
            }
        }
    }
    report(&problems);
}

/// The rooms that a line names through `crate::`.
fn rooms_named(line: &str) -> Vec<String> {
    let word = |rest: &str| {
        let end = rest.find(|char: char| !char.is_ascii_lowercase() && char != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    line.split("crate::").skip(1).map(word).collect()
}

#[test]
fn the_table_of_rooms_has_no_circles() {
    for (position, (room, uses)) in ROOMS.iter().enumerate() {
        for used in *uses {
            let below = ROOMS[..position].iter().any(|(name, _)| name == used);
            assert!(below, "{room} uses {used}, which does not stand above it here");
        }
    }
}

#[test]
fn reserved_words_are_said_only_where_they_may_be() {
    let mut problems = Vec::new();
    for file in files(&["src"]) {
        let room = file.room();
        for (number, line) in file.code() {
            for (word, rooms, why) in RESERVED {
                if line.contains(word) && !rooms.contains(&room.as_str()) {
                    problems.push(format!("{}: `{word}` in {room}: {why}", file.at(number)));
                }
            }
        }
    }
    report(&problems);
}

#[test]
fn lines_are_narrow_and_leave_no_reminders() {
    let mut problems = Vec::new();
    for file in files(&["src", "tests", "benches"]) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let width = line.chars().count();
            // A path in a `use` cannot be broken.
            if WIDTH_MAX < width && !line.trim_start().starts_with("use ") {
                problems.push(format!("{}: {width} columns", file.at(number)));
            }
            for word in REMINDERS.iter().filter(|word| line.contains(**word)) {
                problems.push(format!("{}: `{word}` is not finished", file.at(number)));
            }
        }
    }
    report(&problems);
}

#[test]
fn files_open_with_what_they_are_and_stay_small() {
    const VAGUE: [&str; 5] = ["util", "utils", "helper", "helpers", "manager"];
    let mut problems = Vec::new();
    for file in files(&["src", "tests", "benches"]) {
        if !file.text.starts_with("//! ") {
            problems.push(format!("{}: no module doc", file.at(1)));
        }
        let lines = file.text.lines().count();
        if FILE_LINES_MAX < lines {
            problems.push(format!("{}: {lines} lines", file.at(lines)));
        }
        let name = file.path.file_stem().expect("a file has a name").to_string_lossy();
        if VAGUE.contains(&name.as_ref()) {
            problems.push(format!("{}: a name that says nothing", file.at(1)));
        }
    }
    report(&problems);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut problems = Vec::new();
    for file in files(&["src", "tests", "benches"]) {
        let lines: Vec<_> = file.text.lines().collect();
        for (start, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let indent = line.len() - line.trim_start().len();
            let closing = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == closing);
            let length = length.expect("rustfmt closes a function at its own indent");
            if FUNCTION_LINES_MAX < length + 1 {
                problems.push(format!("{}: {} lines", file.at(start + 1), length + 1));
            }
        }
    }
    report(&problems);
}

/// Whether a function begins on this line and does not end on it.
fn begins_function(line: &str) -> bool {
    let words = line.trim_start();
    let mut head = words.split("fn ").next().unwrap_or_default().split_whitespace();
    let is_function = head.all(|word| {
        word.starts_with("pub") || ["async", "const", "unsafe", "extern", "crate)"].contains(&word)
    });
    words.contains("fn ") && is_function && !line.ends_with('}') && !line.ends_with(';')
}

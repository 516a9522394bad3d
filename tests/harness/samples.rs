//! Samples in documents: the fenced YAML in them, made whole where it is a part of a file.

use std::fs;
use std::path::{Path, PathBuf};

/// What a fence says of its YAML, after the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A rules file.
    Rules,
    /// A directory file.
    Directory,
}

pub struct Sample {
    pub kind: Kind,
    /// File and line, for messages.
    pub at: String,
    /// Whether `check` has a warning about it.
    pub warned: bool,
    /// The whole file that the sample stands for.
    pub text: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document with samples: the README and what is in `docs`.
pub fn documents() -> Vec<PathBuf> {
    let mut documents = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("docs")).expect("the folder is there") {
        documents.push(entry.expect("a readable folder").path());
    }
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.sort();
    documents
}

/// The samples of a document. A fence of `yaml` holds a whole file, or keys of its top level; one
/// of `yaml PART` a part further down: `plans`, `rules`, `rule` or `limits`. With
/// `warned` at its end the sample is one that `check` warns of. One of
/// `yaml envoy` is for the proxy, and not looked at here.
pub fn samples(path: &Path) -> Vec<Sample> {
    let text = fs::read_to_string(path).expect("a readable document");
    let mut samples = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let Some(part) = line.strip_prefix("```yaml") else { continue };
        let inner =
            lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```"));
        let inner: Vec<_> = inner.collect();
        let of_proxy = |line: &&str| line.contains("typed_config:");
        if part.trim() == "envoy" || inner.iter().any(of_proxy) {
            continue;
        }
        let name = path.file_name().expect("a file").to_string_lossy();
        let directory = inner.first().is_some_and(|first| first.trim_end() == "keys:");
        samples.push(Sample {
            kind: if directory { Kind::Directory } else { Kind::Rules },
            at: format!("{name}:{number}"),
            warned: part.contains("warned"),
            text: whole(part.replace("warned", "").trim(), &inner),
        });
    }
    samples
}

/// A file around a part of one.
fn whole(part: &str, lines: &[&str]) -> String {
    let indented = |by: usize| {
        let line = |line: &&str| format!("{}{line}\n", " ".repeat(by));
        lines.iter().map(line).collect::<String>()
    };
    match part {
        _ if lines.iter().any(|line| line.starts_with("domain:") || *line == "keys:") => {
            indented(0)
        }
        // Keys beside `rules`, whose limits they may name.
        "" => format!(
            "domain: d\n{}rules:\n  - name: per-key\n    count_by: [key]\n    limits:\n      \
             - {{ requests: 60, per: minute }}\n      - {{ requests: 1000, per: hour }}\n",
            indented(0)
        ),
        // Plans, by name.
        "plans" => format!(
            "domain: d\nplans:\n{}rules:\n  - name: per-key\n    count_by: [key]\n    \
             plan: {{ from: plan, otherwise: refuse }}\n",
            indented(2)
        ),
        // Rules, beside `rules:`.
        "rules" => format!("domain: d\nrules:\n{}", indented(2)),
        // Keys of one rule.
        "rule" => format!("domain: d\nrules:\n  - name: per-key\n{}", indented(4)),
        // Limits of one rule.
        "limits" => format!(
            "domain: d\nrules:\n  - name: per-key\n    count_by: [key]\n    limits:\n{}",
            indented(6)
        ),
        other => panic!("`{other}` is no part that samples may be"),
    }
}

//! How much memory this process may have: what the machine has, or less where a control group of
//! Linux says so.
//!
//! Reads what the kernel shows below `/proc` and `/sys`. Where there is nothing of the kind nobody
//! knows, and nothing is said.

use std::fs;
use std::path::Path;

/// Of that, counters and notes may take three quarters; the rest is for connections, for what the
/// allocator needs beside it, and for logs of known keys, which grow beyond the ceiling if they
/// must.
const SHARE: (u64, u64) = (3, 4);

/// Where the file system begins.
const ROOT: &str = "/";

/// The bytes that counters and notes may take unless somebody says otherwise, if the system tells.
pub fn share_of_memory() -> Option<u64> {
    let (part, whole) = SHARE;
    // Divided first, for there are groups without a limit that write it as a very large one.
    memory_below(Path::new(ROOT)).map(|bytes| bytes / whole * part)
}

/// The smallest of all limits that hold for this process.
fn memory_below(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|group| group_limits(root, group));
    limits.chain(machine_bytes(root)).min()
}

fn machine_bytes(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    kib.checked_mul(1 << 10)
}

/// The limits of one line of `/proc/self/cgroup`: of the group it names and all groups around it.
/// In a container the group's own path may not be there, and the outermost is its own.
fn group_limits(root: &Path, group: &str) -> Vec<u64> {
    let mut parts = group.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (folder, file) = if controllers.is_empty() {
        (root.join("sys/fs/cgroup"), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        (root.join("sys/fs/cgroup/memory"), "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    let own = folder.join(path.trim_start_matches('/'));
    let around = own.ancestors().take_while(|group| group.starts_with(&folder));
    // One without a limit says so in a word.
    let limit = |group: &Path| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok();
    around.filter_map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        root
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_machine_has_what_it_says() {
        assert_eq!(memory_below(root(&[MACHINE]).path()), Some(16 << 20));
        assert_eq!(memory_below(root(&[]).path()), None);
    }

    #[test]
    fn a_group_and_those_around_it_have_their_say() {
        let group = ("proc/self/cgroup", "0::/pod/app\n");
        let own = ("sys/fs/cgroup/pod/app/memory.max", "max\n");
        let around = ("sys/fs/cgroup/pod/memory.max", "8388608\n");
        assert_eq!(memory_below(root(&[MACHINE, group, own, around]).path()), Some(8 << 20));
        // In a container, whose own group is the outermost that it sees.
        let outermost = ("sys/fs/cgroup/memory.max", "4194304\n");
        assert_eq!(memory_below(root(&[MACHINE, group, outermost]).path()), Some(4 << 20));
    }

    #[test]
    fn groups_of_the_first_version_are_known() {
        let group = ("proc/self/cgroup", "5:cpu,cpuacct:/app\n4:memory:/app\n0::/\n");
        let own = ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "8388608\n");
        let none = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(memory_below(root(&[MACHINE, group, own, none]).path()), Some(8 << 20));
        assert_eq!(memory_below(root(&[MACHINE, group, none]).path()), Some(16 << 20));
    }
}

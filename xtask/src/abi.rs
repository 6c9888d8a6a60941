//! `cargo xtask abi`: our numbers and layouts of the BSD systems and macOS, held against those systems' own
//! headers.
//!
//! Each row of a table in tunctl-sys becomes an assertion in C, which a compiler for the system must accept.
//! What no header at hand defines is not proved, and is known beforehand, row by row: a typing error must not
//! pass for that.
//!
//! Linux's own numbers are checked where they are used, against libc's. Here its header shows whether
//! `docs/linux.md` speaks of everything that the driver has.

mod absent;
mod linux;
mod verdict;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tunctl_sys::bsd::table::Row;
use tunctl_sys::bsd::{COMMON, dragonfly, errno, freebsd, macos, netbsd, openbsd};

use crate::Outcome;
use crate::zig::{self, Zig};
use absent::Absent;
use verdict::Verdict;

/// A system, and what zig calls it.
struct System {
    name: &'static str,
    target: &'static str,
    table: &'static [Row],
    absent: &'static [Absent],
}

const SYSTEMS: &[System] = &[
    System { name: "FreeBSD", target: "freebsd", table: freebsd::TABLE, absent: &[] },
    System { name: "NetBSD", target: "netbsd", table: netbsd::TABLE, absent: &[] },
    System { name: "OpenBSD", target: "openbsd", table: openbsd::TABLE, absent: &[] },
    System { name: "macOS", target: "macos", table: macos::TABLE, absent: absent::MACOS },
];

/// Layouts are those of 64-bit systems, whichever these are.
const ARCHITECTURES: &[&str] = &["x86_64", "aarch64"];

/// What defines the names in the tables, in an order that they stand; no system has all.
const HEADERS: &[&str] = &[
    "errno.h",
    "stddef.h",
    "sys/types.h",
    "sys/param.h",
    "sys/socket.h",
    "sys/ioctl.h",
    "sys/sysctl.h",
    "net/if.h",
    "netinet/in.h",
    "net/if_dl.h",
    "net/if_var.h",
    "net/if_mib.h",
    "net/route.h",
    "net/if_tun.h",
    "net/if_tap.h",
    "net/if_utun.h",
    "net/bpf.h",
    "sys/kern_control.h",
    "sys/sys_domain.h",
    "netinet/in_var.h",
    "netinet6/in6_var.h",
    "netinet6/nd6.h",
];

/// Compiles the tables for every system that zig has headers of.
pub(crate) fn run() -> Outcome {
    let zig = zig::provide()?;
    let folder = zig.folder().join("abi");
    fs::create_dir_all(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
    let mut problems = Vec::new();
    for system in SYSTEMS {
        for architecture in ARCHITECTURES {
            problems.extend(system.examine(architecture, &zig, &folder)?);
        }
        for Absent { header, rows } in system.absent {
            println!("           not proved, for want of <{header}>:");
            for row in *rows {
                println!("             {row}");
            }
        }
    }
    let by_hand = COMMON.len() + errno::TABLE.len() + dragonfly::TABLE.len();
    println!(
        "DragonFly    0 of {by_hand} rows proved: nobody has its headers for a compiler; read and worked out by hand"
    );
    problems.extend(linux::examine()?);
    for problem in &problems {
        println!("abi: {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(format!("{count} things are not as the headers have them")),
    }
}

impl System {
    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        COMMON.iter().chain(errno::TABLE).chain(self.table)
    }

    /// Says how many rows are proved, and returns what is wrong.
    fn examine(&self, architecture: &str, zig: &Zig, folder: &Path) -> Outcome<Vec<String>> {
        let target = format!("{architecture}-{}", self.target);
        let rows: Vec<Row> = self.rows().copied().collect();
        let path = folder.join(&target).with_extension("c");
        let (source, first_line) = program(&rows);
        fs::write(&path, source).map_err(|error| format!("write {}: {error}", path.display()))?;
        let output = zig
            .cc(&target)
            // Else it gives up after twenty.
            .args(["-ferror-limit=0", "-c", "-o"])
            .arg(path.with_extension("o"))
            .arg(&path)
            .output()
            .map_err(|error| format!("run zig: {error}"))?;
        let complaints = String::from_utf8_lossy(&output.stderr);
        let verdicts = verdict::read(&complaints, &path.display().to_string(), first_line, rows.len());
        let found = verdicts.iter().any(|verdict| *verdict != Verdict::Proved);
        if output.status.success() == found {
            return Err(format!("zig cc -target {target}: {}\n{complaints}", output.status));
        }
        let proved = verdicts.iter().filter(|verdict| **verdict == Verdict::Proved).count();
        println!("{:<10} {proved:>3} of {} rows proved on {architecture}", self.name, rows.len());
        let judged = rows.iter().zip(&verdicts);
        let problems = judged.filter_map(|(row, verdict)| self.problem(*row, verdict));
        Ok(problems.map(|problem| format!("{target}: {problem}")).collect())
    }

    fn problem(&self, (expression, ours): Row, verdict: &Verdict) -> Option<String> {
        let absent = self.absent.iter().find(|absent| absent.rows.contains(&expression));
        match (verdict, absent) {
            (Verdict::Proved, None) | (Verdict::Unknown(_), Some(_)) => None,
            (Verdict::Proved, Some(Absent { header, .. })) => Some(format!(
                "{expression} is proved, though <{header}> was not to be had: take it off the list"
            )),
            (Verdict::Wrong(theirs), _) => {
                let theirs =
                    theirs.map_or("another number".to_owned(), |theirs| format!("{theirs:#x} ({theirs})"));
                Some(format!("{expression}: ours is {ours:#x} ({ours}), theirs is {theirs}"))
            }
            (Verdict::Unknown(why), None) => Some(format!("{expression} is not to be proved: {why}")),
        }
    }
}

/// A program that compiles if all rows are true, and the line of the first: each has one of its own.
fn program(rows: &[Row]) -> (String, usize) {
    let mut source = String::new();
    for header in HEADERS {
        // Writing into a string cannot fail.
        let _ = writeln!(source, "#if __has_include(<{header}>)\n#include <{header}>\n#endif");
    }
    let first_line = source.lines().count() + 1;
    for (expression, ours) in rows {
        let _ = writeln!(source, "_Static_assert((unsigned long long)({expression}) == {ours}ULL, \"\");");
    }
    (source, first_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_a_line_of_its_own() {
        let (source, first_line) = program(&[("IFNAMSIZ", 16), ("sizeof(struct ifreq)", 32)]);
        let lines: Vec<_> = source.lines().collect();
        assert_eq!(lines[first_line - 1], "_Static_assert((unsigned long long)(IFNAMSIZ) == 16ULL, \"\");");
        assert!(lines[first_line].contains("sizeof(struct ifreq)") && lines.len() == first_line + 1);
    }

    #[test]
    fn what_is_absent_is_in_a_table() {
        for system in SYSTEMS {
            for row in system.absent.iter().flat_map(|absent| absent.rows) {
                let mut rows = system.rows();
                assert!(rows.any(|(expression, _)| expression == row), "{}: {row}", system.name);
            }
        }
    }

    #[test]
    fn a_row_may_be_unknown_only_if_that_is_known() {
        let system =
            System { name: "X", target: "x", table: &[], absent: &[Absent { header: "h", rows: &["A"] }] };
        let unknown = Verdict::Unknown("what is it?".into());
        assert_eq!(system.problem(("A", 1), &unknown), None);
        assert!(system.problem(("A", 1), &Verdict::Proved).is_some_and(|problem| problem.contains("<h>")));
        assert!(system.problem(("B", 1), &unknown).is_some());
        assert_eq!(system.problem(("B", 1), &Verdict::Proved), None);
        let wrong = system.problem(("B", 17), &Verdict::Wrong(Some(16)));
        assert_eq!(wrong.as_deref(), Some("B: ours is 0x11 (17), theirs is 0x10 (16)"));
    }
}

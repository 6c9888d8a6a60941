//! `docs/linux.md` against `<linux/if_tun.h>` of Debian's newest kernel: each constant is there, once.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::apt::{Apt, Source};
use crate::linux_table::{self, DOCUMENT, Row};
use crate::{Outcome, cache};

/// The headers of Linux for programs.
const PACKAGE: &str = "linux-libc-dev";
/// Has Debian's newest kernel for those who run a release.
const SUITE: &str = "trixie-backports";
/// Where the header is in the package.
const HEADER: &str = "usr/include/linux/if_tun.h";
/// The oldest header that has all that is known of.
const NEWEST_KNOWN: &str = "IFF_BACKPRESSURE";

/// Says how many constants there are, and returns what is wrong.
pub(super) fn examine() -> Outcome<Vec<String>> {
    let header = header()?;
    let defined = defined(&header);
    if !defined.iter().any(|name| name == NEWEST_KNOWN) {
        return Err(format!("the header of {SUITE} is too old: it has no {NEWEST_KNOWN}"));
    }
    let rows = linux_table::read()?;
    println!("Linux      {:>3} constants of <linux/if_tun.h>, held against {DOCUMENT}", defined.len());
    Ok(differences(&defined, &rows))
}

/// The text of the header; that of an earlier run, if there was one.
fn header() -> Outcome<String> {
    let folder = cache().join("headers");
    let unpacked = folder.join(SUITE);
    let path: PathBuf = unpacked.join(HEADER);
    if !path.exists() {
        println!("{PACKAGE} of {SUITE}: unpacking");
        let unfinished = folder.join("unfinished");
        // What an earlier run has left unfinished goes.
        let _ = fs::remove_dir_all(&unfinished);
        Apt::new(&folder, &[Source::release(SUITE)?])?.unpack(&[PACKAGE], &unfinished)?;
        fs::rename(&unfinished, &unpacked)
            .map_err(|error| format!("rename {}: {error}", unfinished.display()))?;
    }
    fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", path.display()))
}

/// The constants that a header defines, and its structures.
fn defined(header: &str) -> Vec<String> {
    let constant = |line: &str| {
        let mut words = line.strip_prefix("#define")?.split_whitespace();
        let name = words.next()?;
        // What has no value keeps the header from being included twice.
        words.next().map(|_| name.to_owned())
    };
    let structure = |line: &str| {
        let name = line.strip_prefix("struct ")?.strip_suffix('{')?.trim();
        Some(format!("struct {name}"))
    };
    header.lines().filter_map(|line| constant(line).or_else(|| structure(line.trim_end()))).collect()
}

fn differences(defined: &[String], rows: &[Row]) -> Vec<String> {
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for constant in rows.iter().flat_map(|row| &row.constants) {
        *counted.entry(constant).or_default() += 1;
    }
    let missing = defined.iter().filter(|name| !counted.contains_key(name.as_str()));
    let missing = missing.map(|name| format!("{DOCUMENT} does not have {name}"));
    let unknown = counted.keys().filter(|name| !defined.iter().any(|defined| defined == *name));
    let unknown =
        unknown.map(|name| format!("{DOCUMENT} has {name}, which <linux/if_tun.h> does not define"));
    let repeated = counted.iter().filter(|(_, count)| **count > 1);
    let repeated = repeated.map(|(name, count)| format!("{DOCUMENT} has {name} {count} times"));
    missing.chain(unknown).chain(repeated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux_table::Api;

    #[test]
    fn constants_and_structures_are_defined() {
        let header = "#ifndef __IF_TUN_H\n#define __IF_TUN_H\n#include <linux/types.h>\n/* Read queue size */\n\
                      #define TUN_READQ_SIZE\t500\n#define TUN_TUN_DEV \tIFF_TUN\n#define TUNSETIFF _IOW('T', 202, int) \n\
                      struct tun_pi {\n\t__u16  flags;\n};\n";
        assert_eq!(defined(header), ["TUN_READQ_SIZE", "TUN_TUN_DEV", "TUNSETIFF", "struct tun_pi"]);
    }

    #[test]
    fn each_constant_is_in_the_document_once() {
        let row = |constants: &[&str]| Row {
            constants: constants.iter().copied().map(str::to_owned).collect(),
            api: Api::None,
            tests: Vec::new(),
        };
        let defined = ["A", "B", "struct c"].map(str::to_owned);
        assert_eq!(differences(&defined, &[row(&["B", "A"]), row(&["struct c"])]), [""; 0]);
        assert_eq!(
            differences(&defined, &[row(&["A", "D"]), row(&["A"]), row(&["struct c"])]),
            [
                "docs/linux.md does not have B",
                "docs/linux.md has D, which <linux/if_tun.h> does not define",
                "docs/linux.md has A 2 times"
            ]
        );
    }
}

//! What a guest boots from: an archive in the kernel's format, "newc" cpio.

use std::fs;
use std::path::Path;

use super::guest::{BEGIN, END};
use super::modules::{self, Module};
use super::packages::Unpacked;
use super::suite::Programs;
use crate::Outcome;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

/// Cases at a time, unless an argument says otherwise. The launcher's own number is for faster processors:
/// here it would only bring each case nearer to its limit.
const AT_A_TIME: &str = "4";

/// The suite, the command, busybox, the modules, and the script that the kernel starts.
pub(super) fn build(unpacked: &Unpacked, programs: &Programs, arguments: &[&str]) -> Outcome<Vec<u8>> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("read {}: {error}", path.display()));
    let modules = modules::needed(unpacked)?;
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "etc", "modules", "proc", "sys", "tmp"] {
        archive.add(folder, FOLDER, &[])?;
    }
    archive.add("bin/busybox", PROGRAM, &read(&unpacked.busybox_path())?)?;
    // Its shell knows the other programs by itself. As files they would be mistaken for iproute2 and the
    // like.
    archive.add("bin/sh", LINK, b"busybox")?;
    archive.add("etc/passwd", FILE, b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;
    archive.add("etc/group", FILE, b"root:x:0:\nnogroup:x:65534:\n")?;
    for Module { name, bytes } in &modules {
        archive.add(&format!("modules/{name}.ko"), FILE, bytes)?;
    }
    archive.add("suite", PROGRAM, &read(&programs.suite)?)?;
    archive.add("tunctl", PROGRAM, &read(&programs.command)?)?;
    archive.add("init", PROGRAM, script(&modules, arguments).as_bytes())?;
    archive.end()
}

/// The first process of the guest. If it fails to get to its end, the kernel panics, and the guest is gone.
/// The machine is well, and must be found to be so before the suite begins.
fn script(modules: &[Module], arguments: &[&str]) -> String {
    let load =
        modules.iter().map(|Module { name, .. }| format!("insmod /modules/{name}.ko || dmesg | tail\n"));
    let arguments = arguments.iter().map(|argument| format!(" '{}'", argument.replace('\'', r"'\''")));
    format!(
        "#!/bin/sh\n\
         /bin/busybox mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mount -t devtmpfs devtmpfs /dev\n\
         mount -t tmpfs -o mode=1777 tmpfs /tmp\n\
         {}\
         mkdir -p /dev/net\n\
         [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200\n\
         chmod 666 /dev/net/tun\n\
         ip link set lo up\n\
         echo \"{BEGIN}$(uname -r)\"\n\
         /tunctl doctor && TUNCTL_REQUIRE_KERNEL=1 RUST_TEST_THREADS={AT_A_TIME} PATH=/bin /suite --color never{}\n\
         echo \"{END}$?\"\n\
         poweroff -f\n",
        load.collect::<String>(),
        arguments.collect::<String>(),
    )
}

/// An archive while it grows.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    count: u32,
}

impl Archive {
    /// Adds a file, a folder, or a link, whose content is where it points.
    fn add(&mut self, path: &str, mode: u32, content: &[u8]) -> Outcome {
        let too_long = |_| format!("{path} is too long for an initramfs");
        let size = u32::try_from(content.len()).map_err(too_long)?;
        let name_size = u32::try_from(path.len() + 1).map_err(too_long)?;
        self.count += 1;
        self.bytes.extend(b"070701");
        // The inode, which must differ from others'; mode, uid, gid, links, time; size; the file's and the
        // node's device, in two parts each; the name's size with its zero; a checksum, which this format does
        // not use.
        for field in [self.count, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
        Ok(())
    }

    /// Names and contents end at a multiple of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Outcome<Vec<u8>> {
        self.add("TRAILER!!!", 0, &[])?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_the_content_each_padded() {
        let mut archive = Archive::default();
        archive.add("init", PROGRAM, b"hello").unwrap();
        let expected = "070701\
             00000001000081ed00000000000000000000000100000000\
             0000000500000000000000000000000000000000\
             0000000500000000init\0\0hello\0\0\0";
        assert_eq!(String::from_utf8_lossy(&archive.bytes), expected);
        let whole = archive.end().unwrap();
        assert_eq!(whole.len() % 4, 0);
        assert!(whole.ends_with(b"TRAILER!!!\0\0\0\0"));
    }

    #[test]
    fn the_suite_gets_its_arguments_as_they_were() {
        let script = script(&[Module { name: "tun".into(), bytes: Vec::new() }], &["--exact", "it's"]);
        assert!(script.contains(r"/suite --color never '--exact' 'it'\''s'"), "{script}");
        assert!(script.contains("insmod /modules/tun.ko"), "{script}");
    }
}

//! Programs that configure interfaces of their own accord: systemd-networkd and NetworkManager.

mod glob;
mod network_manager;
mod networkd;
mod settings;

use tunctl::{InterfaceName, Layer, Native};

use super::files::Files;
use super::finding::{Check, Finding};

/// An interface that is, or is to be.
pub(super) struct Candidate {
    name: String,
    /// Both, of an interface that is yet to be.
    layers: Vec<Layer>,
}

/// A program that configures interfaces.
struct Manager {
    name: &'static str,
    /// Its name in `/proc/PID/comm`, which the kernel cuts after 15 bytes.
    process: &'static str,
    /// What it has below `/run` once it runs: a container that sees the machine's processes does not have it.
    state: &'static str,
    /// The file by which it would configure an interface.
    file_for: fn(&Files, &str, Layer) -> Option<String>,
    /// What keeps it away from interfaces of these names.
    remedy: fn(&[&str]) -> String,
}

const MANAGERS: [Manager; 2] = [
    Manager {
        name: "systemd-networkd",
        process: "systemd-network",
        state: "run/systemd/netif/state",
        file_for: networkd::file_for,
        remedy: networkd::remedy,
    },
    Manager {
        name: "NetworkManager",
        process: "NetworkManager",
        state: "run/NetworkManager",
        file_for: network_manager::file_for,
        remedy: network_manager::remedy,
    },
];

/// The interfaces of these names. If there are none, the interfaces that exist, and those that the kernel
/// would name first.
pub(super) fn candidates(backend: &Native, names: &[InterfaceName]) -> Vec<Candidate> {
    let candidate = |name: &InterfaceName, layers| Candidate { name: name.to_string(), layers };
    if !names.is_empty() {
        return names.iter().map(|name| candidate(name, vec![Layer::Tun, Layer::Tap])).collect();
    }
    // If they cannot be listed, the finding about rights says so.
    let surveyed = backend.survey().unwrap_or_default();
    let mut candidates: Vec<_> = surveyed
        .iter()
        .map(|one| candidate(&one.snapshot.info.name, vec![one.snapshot.info.layer]))
        .collect();
    for (name, layer) in [("tun0", Layer::Tun), ("tap0", Layer::Tap)] {
        if candidates.iter().all(|candidate| candidate.name != name) {
            candidates.push(Candidate { name: name.to_owned(), layers: vec![layer] });
        }
    }
    candidates
}

pub(super) fn findings(files: &Files, candidates: &[Candidate]) -> Vec<Finding> {
    let running: Vec<_> = MANAGERS.iter().filter(|manager| manager.runs(files)).collect();
    if running.is_empty() {
        let what = "neither systemd-networkd nor NetworkManager runs here";
        return vec![Finding::ok(Check::Managers, what)];
    }
    running.iter().flat_map(|manager| manager.findings(files, candidates)).collect()
}

impl Manager {
    /// Whether it runs, and configures the caller's network namespace.
    fn runs(&self, files: &Files) -> bool {
        let own = files.link("proc/self/ns/net");
        let is_it = |pid: &String| {
            let comm = files.read(&format!("proc/{pid}/comm"));
            comm.is_some_and(|comm| comm.trim_end() == self.process)
                // Only root may look where it is. To others it is where everybody is.
                && files.link(&format!("proc/{pid}/ns/net")).is_none_or(|its| Some(its) == own)
        };
        let is_number = |name: &&String| name.bytes().all(|byte| byte.is_ascii_digit());
        files.exists(self.state) && files.list("proc").iter().filter(is_number).any(is_it)
    }

    fn findings(&self, files: &Files, candidates: &[Candidate]) -> Vec<Finding> {
        // Those that one file is for together.
        let mut grabbed: Vec<(String, Vec<&str>, Vec<String>)> = Vec::new();
        for Candidate { name, layers } in candidates {
            let found: Vec<_> = layers
                .iter()
                .filter_map(|&layer| Some((layer, (self.file_for)(files, name, layer)?)))
                .collect();
            let Some((layer, file)) = found.first().cloned() else { continue };
            let as_what = match layer {
                _ if found.len() == layers.len() => "",
                Layer::Tun => " as a tun",
                Layer::Tap => " as a tap",
            };
            let shown = format!("{name}{as_what}");
            match grabbed.iter_mut().find(|(its, ..)| *its == file) {
                Some((_, names, all)) => {
                    names.push(name);
                    all.push(shown);
                }
                None => grabbed.push((file, vec![name], vec![shown])),
            }
        }
        if grabbed.is_empty() {
            let names: Vec<_> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
            let what = format!("{} runs, and leaves {} alone", self.name, names.join(", "));
            return vec![Finding::ok(Check::Managers, what)];
        }
        let note = |(file, names, shown): &(String, Vec<&str>, Vec<String>)| {
            let what = format!("{} configures {}, by /{file}", self.name, shown.join(", "));
            Finding::note(Check::Managers, what, (self.remedy)(names))
        };
        grabbed.iter().map(note).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::System;
    use super::super::finding::Verdict;
    use super::*;

    const NETWORKD: (&str, &str) = ("proc/77/comm", "systemd-network\n");
    const NETWORKD_STATE: (&str, &str) = ("run/systemd/netif/state", "");

    fn found(files: &[(&str, &str)]) -> Vec<Finding> {
        let both = vec![Layer::Tun, Layer::Tap];
        let candidates = [("vpn0", both), ("tap0", vec![Layer::Tap]), ("tap1", vec![Layer::Tap])];
        let candidates = candidates.map(|(name, layers)| Candidate { name: name.to_owned(), layers });
        findings(&System::new(files).files, &candidates)
    }

    #[test]
    fn a_file_is_nothing_while_its_program_does_not_run() {
        let all = ("etc/systemd/network/all.network", "[Match]\nName=*\n");
        let what = "neither systemd-networkd nor NetworkManager runs here";
        for other in ["bash", "systemd-network-generator", "systemd-networ"] {
            let files = [all, NETWORKD_STATE, ("proc/77/comm", other)];
            assert_eq!(found(&files), [Finding::ok(Check::Managers, what)]);
        }
        assert_eq!(found(&[all, NETWORKD]), [Finding::ok(Check::Managers, what)]);
        assert_eq!(found(&[all, NETWORKD, NETWORKD_STATE])[0].verdict, Verdict::Note);
    }

    #[test]
    fn the_interfaces_of_a_file_are_one_note() {
        let wired = ("etc/systemd/network/20-wired.network", "[Match]\nType=ether\n");
        let notes = found(&[NETWORKD, NETWORKD_STATE, wired]);
        assert_eq!(notes.len(), 1);
        let what =
            "systemd-networkd configures vpn0 as a tap, tap0, tap1, by /etc/systemd/network/20-wired.network";
        assert_eq!(notes[0].what, what);
        assert!(notes[0].remedy.as_ref().unwrap().contains("Name=vpn0 tap0 tap1"), "{notes:?}");
    }

    #[test]
    fn programs_that_leave_them_alone_are_no_trouble() {
        let eth = ("etc/systemd/network/20-wired.network", "[Match]\nName=en*\n");
        let manager = [("proc/78/comm", "NetworkManager\n"), ("run/NetworkManager/resolv.conf", "")];
        let fine = found(&[&[NETWORKD, NETWORKD_STATE, eth], &manager[..]].concat());
        let words: Vec<_> = fine.iter().map(|finding| (finding.verdict, finding.what.as_str())).collect();
        assert_eq!(
            words,
            [
                (Verdict::Ok, "systemd-networkd runs, and leaves vpn0, tap0, tap1 alone"),
                (Verdict::Ok, "NetworkManager runs, and leaves vpn0, tap0, tap1 alone")
            ]
        );
    }
}

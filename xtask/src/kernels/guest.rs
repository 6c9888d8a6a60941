//! The emulated machine, and what it says on its serial line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::test::Report;

pub(super) const QEMU: &str = "qemu-system-x86_64";

/// Starts the line with which the guest says that it has booted, and what it is.
pub(super) const BEGIN: &str = "tunctl-guest: kernel ";
/// Starts the line with which it ends; the suite's exit status follows.
pub(super) const END: &str = "tunctl-guest: the suite ended with status ";

/// How much of what a kernel printed is shown if it did not boot.
const LAST_WORDS: usize = 20;

/// What boots.
pub(super) struct Machine<'a> {
    pub(super) image: &'a Path,
    pub(super) initramfs: &'a Path,
}

impl Machine<'_> {
    fn start(&self) -> Outcome<Child> {
        Command::new(QEMU)
            // Emulated, with a thread for each of the two processors: KVM is missing where tests usually run.
            // The memory holds the archive twice, packed and unpacked: 160 MB, with what debuggers need.
            .args(["-accel", "tcg,thread=multi", "-smp", "2", "-m", "1G"])
            // qemu 7.2 damages the flags register when it emulates cmpxchg16b, and the kernel's allocator
            // then faults.
            .args(["-cpu", "max,cx16=off"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-serial", "stdio"])
            .arg("-kernel")
            .arg(self.image)
            .arg("-initrd")
            .arg(self.initramfs)
            // A panic reboots at once, which ends qemu. Lesser complaints would tear the suite's lines.
            .args(["-append", "console=ttyS0 quiet loglevel=1 panic=-1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("run {QEMU}: {error}"))
    }
}

/// How often a machine is booted that dies before the suite begins. One boot in five of 6.12 does: the
/// emulator meets a breakpoint that the kernel has set to patch itself, and loses it.
const BOOTS: usize = 3;

/// Boots it, and shows what it prints, until it is off.
pub(super) fn run(machine: &Machine, prefix: &str, limit: Duration) -> Outcome<Transcript> {
    boot_until_it_begins(prefix, || run_once(machine, prefix, limit))
}

fn boot_until_it_begins(prefix: &str, mut boot: impl FnMut() -> Outcome<Transcript>) -> Outcome<Transcript> {
    for number in 1..BOOTS {
        let transcript = boot()?;
        if !transcript.died_early() {
            return Ok(transcript);
        }
        println!(
            "{prefix:<4} | boot {number} of {BOOTS} at most died before the suite began{}",
            transcript.why()
        );
    }
    boot()
}

fn run_once(machine: &Machine, prefix: &str, limit: Duration) -> Outcome<Transcript> {
    let started = Instant::now();
    let mut child = machine.start()?;
    let output = child.stdout.take().ok_or("qemu has no output")?;
    let mut transcript = Transcript::default();
    let ended = listen(&lines(output), limit, |line| {
        if transcript.take(line) {
            println!("{prefix:<4} | {line}");
        }
    });
    if !ended {
        transcript.overdue = Some(limit);
        // If it can't be killed, it has ended.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("wait for {QEMU}: {error}"))?;
    if ended && !status.success() {
        return Err(format!("{QEMU} failed: {status}"));
    }
    transcript.took = started.elapsed();
    Ok(transcript)
}

/// The lines of a guest, from a thread, because reading cannot be given a time limit.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Passes lines on until there are no more; `false` if there still may be when the time is over.
fn listen(lines: &Receiver<String>, limit: Duration, mut pass: impl FnMut(&str)) -> bool {
    let end = Instant::now() + limit;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => pass(&line),
            Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}

/// What a guest said, as far as it matters.
#[derive(Default)]
pub(super) struct Transcript {
    /// The kernel's release, once it has booted.
    pub(super) release: Option<String>,
    pub(super) report: Report,
    /// The suite's exit status, once it has ended.
    status: Option<String>,
    /// From power on to power off.
    pub(super) took: Duration,
    /// The time that was not enough.
    overdue: Option<Duration>,
    /// The kernel's last complaint.
    panic: Option<String>,
    /// What was printed before the kernel had booted.
    early: Vec<String>,
}

impl Transcript {
    /// Reads a line, and says whether it should be shown.
    fn take(&mut self, line: &str) -> bool {
        if self.status.is_some() {
            // It says goodbye.
            return false;
        }
        if let Some((_, panic)) = line.split_once("Kernel panic") {
            self.panic = Some(format!("kernel panic{panic}"));
        }
        if let Some((_, release)) = line.split_once(BEGIN) {
            self.release = Some(release.to_owned());
        } else if let Some((_, status)) = line.split_once(END) {
            self.status = Some(status.to_owned());
        } else if self.release.is_none() {
            self.early.push(line.to_owned());
            return false;
        } else {
            self.report.read(line);
        }
        true
    }

    /// Whether it ended, by itself, before the suite began.
    fn died_early(&self) -> bool {
        self.release.is_none() && self.overdue.is_none()
    }

    /// What is wrong, if anything is. Where Debian's package moves on, a later series is right, too.
    pub(super) fn problem(&self, series: &str, moves_on: bool) -> Option<String> {
        let Some(release) = &self.release else {
            let last = &self.early[self.early.len().saturating_sub(LAST_WORDS)..];
            return Some(format!("it did not boot{}\n{}", self.why(), last.join("\n")));
        };
        let is_expected = release.starts_with(&format!("{series}."))
            || moves_on && numbers(release).is_some_and(|found| numbers(series) < Some(found));
        if !is_expected {
            return Some(format!("{release} is not of the series {series}"));
        }
        match self.status.as_deref() {
            None => Some(format!("the suite did not end{}", self.why())),
            Some(_) if self.report.failed > 0 => Some(format!("{} failed", self.report.failed)),
            Some("0") if self.report.passed == 0 => Some("it ran nothing".into()),
            Some("0") => None,
            Some(status) => Some(format!("the suite exited with status {status}")),
        }
    }

    /// What is known of why it did not come to its end.
    fn why(&self) -> String {
        let late = self.overdue.map(|limit| format!(" within {} s, and was killed", limit.as_secs()));
        late.or_else(|| self.panic.as_ref().map(|panic| format!(": {panic}"))).unwrap_or_default()
    }
}

/// The two numbers of a series, with which a release begins.
fn numbers(release: &str) -> Option<[u32; 2]> {
    let mut numbers = release.splitn(3, ['.', '-']).map(str::parse);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(lines: &[&str]) -> Transcript {
        let mut transcript = Transcript::default();
        for line in lines {
            transcript.take(line);
        }
        transcript
    }

    #[test]
    fn a_suite_that_ran_and_passed_is_no_problem() {
        let begin = format!("{BEGIN}6.1.0-50-cloud-amd64");
        let end = format!("{END}0");
        let passed = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        let transcript = transcript(&["SeaBIOS", &begin, passed, &end]);
        assert_eq!(transcript.problem("6.1", false), None);
        assert_eq!(transcript.release.as_deref(), Some("6.1.0-50-cloud-amd64"));
        assert_eq!((transcript.report.passed, transcript.report.skipped), (5, 1));
        assert!(transcript.problem("6.12", false).is_some());
    }

    #[test]
    fn a_later_series_is_right_where_the_package_moves_on() {
        let problem = |release: &str, moves_on| {
            let passed = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
            let (begin, end) = (format!("{BEGIN}{release}"), format!("{END}0"));
            transcript(&[&begin, passed, &end]).problem("7.3", moves_on)
        };
        for (release, expected, moved_on) in [
            ("7.3.4+deb13-cloud-amd64", true, true),
            ("7.10-rc1", false, true),
            ("8.0.1-amd64", false, true),
            ("7.2.13", false, false),
            ("6.12.9", false, false),
            ("unknown", false, false),
        ] {
            assert_eq!(problem(release, false).is_none(), expected, "{release}");
            assert_eq!(problem(release, true).is_none(), moved_on, "{release}");
        }
    }

    #[test]
    fn a_boot_that_dies_early_is_tried_again_and_no_other() {
        let begin = format!("{BEGIN}6.12.1");
        let panic = ["[ 0.3] Kernel panic - not syncing: Fatal exception"];
        let boots = |dying: usize, last: &[&str]| {
            let mut boots = 0;
            let booted = boot_until_it_begins("6.12", || {
                boots += 1;
                Ok(transcript(if boots <= dying { &panic } else { last }))
            });
            (boots, booted.is_ok_and(|booted| booted.release.is_some()))
        };
        assert_eq!(boots(0, &[&begin]), (1, true));
        assert_eq!(boots(2, &[&begin]), (3, true));
        assert_eq!(boots(9, &[]), (3, false));
        // A suite that began and died is a failure.
        assert_eq!(boots(0, &[&begin, panic[0]]), (1, true));
    }

    #[test]
    fn everything_else_is_a_problem() {
        let begin = format!("{BEGIN}6.1.0");
        let (well, badly) = (format!("{END}0"), format!("{END}139"));
        let nothing = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out";
        let failed = "test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        let problem = |lines: &[&str]| transcript(lines).problem("6.1", false).unwrap_or_default();
        assert_eq!(problem(&["no init"]), "it did not boot\nno init");
        assert_eq!(problem(&[&begin]), "the suite did not end");
        let panic = "[ 2.7] Kernel panic - not syncing: Fatal exception";
        assert_eq!(
            problem(&[&begin, panic]),
            "the suite did not end: kernel panic - not syncing: Fatal exception"
        );
        assert_eq!(problem(&[&begin, &well]), "it ran nothing");
        assert_eq!(problem(&[&begin, nothing, &well]), "it ran nothing");
        assert_eq!(problem(&[&begin, &badly]), "the suite exited with status 139");
        assert_eq!(problem(&[&begin, failed, &badly]), "2 failed");
    }

    #[test]
    fn the_limit_ends_the_wait_for_a_line() {
        let (sender, lines) = mpsc::channel();
        assert!(!listen(&lines, Duration::from_millis(1), |_| ()));
        drop(sender);
        assert!(listen(&lines, Duration::from_secs(60), |_| ()));
    }
}

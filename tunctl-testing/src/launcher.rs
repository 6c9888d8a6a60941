//! The process that starts the others, and reports.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::{env, fs, io, thread};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid};

use crate::child::OPEN_NODE;
use crate::process::{CASE, ENTRY};
use crate::skip::{SKIPPED, reason};
use crate::{Case, strace};

/// Turns skips into failures.
const REQUIRE: &str = "TUNCTL_REQUIRE_KERNEL";

/// Cases at a time, unless told otherwise: what they wait for is the kernel, which takes 16 ms to delete an
/// interface.
const AT_A_TIME: usize = 8;

type Skips = Arc<Mutex<Vec<(String, String)>>>;

pub(crate) fn run(cases: Vec<Case>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    if arguments.test_threads.is_none() {
        let told = env::var("RUST_TEST_THREADS").ok().and_then(|text| text.parse().ok());
        arguments.test_threads = Some(told.unwrap_or(AT_A_TIME));
    }
    let skips = Skips::default();
    let trials = cases.into_iter().map(|case| trial(case, skips.clone())).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    for (name, why) in skips.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("skipped: {name}: {why}");
    }
    conclusion.exit_code()
}

fn trial(case: Case, skips: Skips) -> Trial {
    Trial::ignorable_test(case.name.clone(), move || {
        let Some(why) = outcome(&case)? else {
            return Ok(Completion::Completed);
        };
        if env::var_os(REQUIRE).is_some_and(|value| value != "0" && !value.is_empty()) {
            return Err(format!("{REQUIRE} is set, and the case is skipped: {why}").into());
        }
        let completion = Completion::ignored_with(format!("skipped: {why}"));
        skips.lock().unwrap_or_else(PoisonError::into_inner).push((case.name, why));
        Ok(completion)
    })
}

/// Runs the case: why it could not, if it could not.
fn outcome(case: &Case) -> Result<Option<String>, Failed> {
    if let Some(why) = obstacle(case) {
        return Ok(Some(why));
    }
    let Finished { status, printed } = run_in_child(case)?;
    let Some(status) = status else {
        return Err(format!("still running after {:?}: killed\n{printed}", case.limit).into());
    };
    match status.code() {
        Some(0) => Ok(None),
        Some(SKIPPED) => Ok(Some(reason(&printed).to_owned())),
        Some(101) => Err(printed.into()),
        _ => Err(format!("{status}{}\n{printed}", core_hint(status)).into()),
    }
}

fn core_hint(status: ExitStatus) -> &'static str {
    match status.signal() {
        Some(_) => " (no panic: something else ended it)",
        None => "",
    }
}

/// Why the case cannot run here, as far as can be told without trying.
fn obstacle(case: &Case) -> Option<String> {
    if case.inside && !Path::new(OPEN_NODE).exists() {
        return Some(format!("{OPEN_NODE} does not exist"));
    }
    if case.root && !is_real_root() {
        return Some("it needs root".to_owned());
    }
    let missing = case.tools.iter().find(|tool| !is_installed(tool))?;
    Some(format!("{missing} is not installed"))
}

/// Whether this is root of the machine, rather than of a user namespace.
fn is_real_root() -> bool {
    let whole_map = |map: String| map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
    Uid::effective().is_root() && fs::read_to_string("/proc/self/uid_map").is_ok_and(whole_map)
}

fn is_installed(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path)
            .chain(["/sbin".into(), "/usr/sbin".into()])
            .any(|directory| directory.join(program).is_file())
    })
}

struct Finished {
    /// `None`: it took too long.
    status: Option<ExitStatus>,
    /// Standard output and standard error.
    printed: String,
}

fn run_in_child(case: &Case) -> io::Result<Finished> {
    let path = env::var("PATH").unwrap_or_default();
    let mut child = Command::new("/proc/self/exe")
        .env(CASE, &case.name)
        .env_remove(ENTRY)
        // A user's path often lacks the directories where `ip` may be.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What it starts belongs to its group, and ends with it.
        .process_group(0)
        .spawn()?;
    let group = Pid::from_raw(child.id().cast_signed());
    let printed = [collect(child.stdout.take()), collect(child.stderr.take())];
    let status = wait(child, case).transpose()?;
    // Whatever it has left behind; usually there is nothing, and this fails.
    let _ = killpg(group, Signal::SIGKILL);
    let printed = printed.map(|reader| reader.join().unwrap_or_default()).concat();
    Ok(Finished { status, printed })
}

fn wait(mut child: Child, case: &Case) -> Option<io::Result<ExitStatus>> {
    let (sender, receiver) = mpsc::channel();
    let group = Pid::from_raw(child.id().cast_signed());
    let waiter = thread::spawn(move || {
        // The receiver may have given up.
        let _ = sender.send(child.wait());
    });
    let status = receiver.recv_timeout(case.limit).ok();
    if status.is_none() {
        // It is still ours to kill: nobody has waited for it.
        let _ = killpg(group, Signal::SIGKILL);
        remove_traces(group);
    }
    let _ = waiter.join();
    status
}

/// The trace files that a case could not remove because it was killed.
fn remove_traces(case: Pid) {
    let prefix = strace::file_prefix(case.as_raw().cast_unsigned());
    for file in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        if file.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_file(file.path());
        }
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

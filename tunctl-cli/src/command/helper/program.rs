//! The helper's program, before it is installed.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::elf;

/// Bytes that no helper has.
const MOST: u64 = 64 << 20;

/// How to build it.
const BUILD: &str = "Build it in a checkout (cargo xtask helper), and say where it is: \
                     sudo tunctl helper install --program FILE";

/// A static program for this machine.
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl Program {
    /// Reads the program of this path; else the one beside this program.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, String> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => beside_this_program()?,
        };
        let shown = path.display();
        let bytes = read(&path).map_err(|why| format!("{shown}: {why}"))?;
        let own = fs::read("/proc/self/exe").map_err(|error| format!("/proc/self/exe: {error}"))?;
        elf::check(&bytes, &own).map_err(|unfit| format!("{shown}: {unfit}. {BUILD}"))?;
        Ok(Self { path, bytes })
    }
}

fn beside_this_program() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|error| format!("find this program's own folder: {error}"))?;
    let path = own.with_file_name("tunctl-helper");
    if path.exists() { Ok(path) } else { Err(format!("{} does not exist. {BUILD}", path.display())) }
}

/// The bytes are read once: what was checked is what is installed, whoever changes the file meanwhile.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".into());
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST { Err("it is too large".into()) } else { Ok(bytes) }
}

/// Starts it, as a user without any right, and checks that it ends as the helper does that nobody asks for
/// anything: it works here, and is no other program.
pub(super) fn try_out(path: &Path) -> Result<(), String> {
    const NOBODY: u32 = 65534;
    /// What the helper's `main` ends with, and what it says. A file that the kernel does not take for a
    /// program is given to a shell, which may end with the same status.
    const STATUS: i32 = 2;
    const WORDS: &[u8] = b"tunctl-helper ";
    let failed = |error: io::Error| format!("a user cannot start the new helper: {error}");
    let mut said =
        memfd_create("said", MFdFlags::MFD_CLOEXEC).map(File::from).map_err(|errno| failed(errno.into()))?;
    let mut command = Command::new(path);
    command.env_clear().current_dir("/").uid(NOBODY).gid(NOBODY).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(said.try_clone().map_err(failed)?);
    let status = run(command).map_err(failed)?;
    let Some(status) = status else {
        return Err("the program does not end by itself, so it is not tunctl-helper".into());
    };
    let mut first = [0; WORDS.len()];
    let has_said = said.rewind().and_then(|()| said.read_exact(&mut first)).is_ok() && first == WORDS;
    if status.code() == Some(STATUS) && has_said {
        Ok(())
    } else {
        Err(format!("the program does not behave as tunctl-helper does ({status})"))
    }
}

/// Runs a command to its end. `None`: it was killed, since it went on for too long.
fn run(mut command: Command) -> io::Result<Option<ExitStatus>> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(5);
    let mut child = command.spawn()?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(PAUSE);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

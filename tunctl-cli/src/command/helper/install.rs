//! `tunctl helper install`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use clap::Args;
use tunctl_helper::policy::{self, Etc, Policy, PolicyError};
use tunctl_sys::linux::file_capability::{self, FileCapabilities};

use super::place::{self, INSTALLED, RIGHTS};
use super::program::{self, Program};
use super::undo::Undo;
use super::{Done, report, require_root};
use crate::command::Outcome;

/// Install the helper, so that users whom its policy names may create interfaces; as root
///
/// It copies the program to /usr/local/libexec, gives the copy the capability to configure networks
/// (cap_net_admin=p, not set-user-ID), and installs a policy, /etc/tunctl/policy.toml, if there is none. The
/// new policy allows nothing: all of its rules are comments. Then edit it, and see what it allows with
/// "tunctl policy check USER".
///
/// An installed helper is replaced, and a policy never is. If a step fails, those before it are undone.
#[derive(Args)]
pub(super) struct Install {
    /// The helper's program, which must be linked statically (cargo xtask helper); without it,
    /// tunctl-helper in the folder of this program
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// A policy to install, if there is none yet
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// The text of a policy to install, or that there is one.
enum Wanted {
    Present,
    New { text: String, origin: String },
}

impl Install {
    pub(super) fn run(&self) -> Outcome {
        require_root("install the helper")?;
        let mut undo = Undo::default();
        match self.install(&mut undo) {
            Ok(done) => report(&done, "the helper is installed"),
            Err(problem) => Err(undo.after(&format!("install the helper: {problem}"))),
        }
    }

    fn install(&self, undo: &mut Undo) -> Result<Vec<Done>, String> {
        let mut done = Vec::new();
        let program = Program::read(self.program.as_deref())?;
        done.push(Done::new(
            "program",
            format!("{} is static, and for this machine", program.path.display()),
        ));
        let wanted = self.wanted_policy()?;

        let path = Path::new(INSTALLED);
        let folder = folder_of(path)?;
        make_folder(folder, undo)?;
        done.push(Done::new(
            "folder",
            format!("nobody but root may write to {}, or above it", folder.display()),
        ));
        let temporary = write_program(folder, &program.bytes, undo)?;
        done.push(install_policy(wanted, undo)?);

        replace(&temporary, path, undo)?;
        done.push(Done::new("helper", format!("{INSTALLED} has cap_net_admin=p, and may use it")));
        done.push(Done::new("next", "edit the policy; then: tunctl policy check USER"));
        Ok(done)
    }

    /// What becomes of the policy, before anything is changed.
    fn wanted_policy(&self) -> Result<Wanted, String> {
        let folder = folder_of(Path::new(policy::PATH))?;
        if folder.symlink_metadata().is_ok() {
            place::check_folders(folder)?;
            // A policy with a second name, under which it was written, would not be accepted.
            place::remove_stale(folder);
        }
        if Path::new(policy::PATH).symlink_metadata().is_err() {
            return match &self.policy {
                Some(path) => {
                    let text =
                        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                    let origin = path.display().to_string();
                    Policy::parse(&text, &Etc::default()).map_err(|error| match error {
                        // It is about the file that it was read from.
                        PolicyError::Invalid { why } => format!("{origin}: {why}"),
                        other => format!("{origin}: {other}"),
                    })?;
                    Ok(Wanted::New { text, origin })
                }
                None => {
                    let origin = "an example, whose rules are comments: it allows nothing yet".to_owned();
                    Ok(Wanted::New { text: policy::EXAMPLE.to_owned(), origin })
                }
            };
        }
        if self.policy.is_some() {
            return Err(format!(
                "there is a policy, and none is overwritten. Edit {}, or remove it first",
                policy::PATH
            ));
        }
        Policy::read().map_err(|error| error.to_string())?;
        Ok(Wanted::Present)
    }
}

fn folder_of(path: &Path) -> Result<&Path, String> {
    path.parent().ok_or_else(|| format!("{} is in no folder", path.display()))
}

/// Makes a folder where root alone may write, if there is none, and checks it and those above it.
fn make_folder(folder: &Path, undo: &mut Undo) -> Result<(), String> {
    if folder.symlink_metadata().is_err() {
        place::check_folders(folder_of(folder)?)?;
        let failed = |error: io::Error| format!("make {}: {error}", folder.display());
        DirBuilder::new().mode(0o755).create(folder).map_err(failed)?;
        let made = folder.to_owned();
        undo.push(format!("{} was removed", folder.display()), move || fs::remove_dir(made));
        // Whatever the caller's umask is, and the group of the folder above.
        let opened = File::open(folder).map_err(failed)?;
        fchown(&opened, Some(0), Some(0)).map_err(failed)?;
        opened.set_permissions(Permissions::from_mode(0o755)).map_err(failed)?;
        place::sync_folder(folder).map_err(failed)?;
    }
    place::check_folders(folder)
}

/// Writes a file that is root's, under a temporary name. Nobody else can open it before it is whole.
fn write_file(folder: &Path, bytes: &[u8], undo: &mut Undo) -> Result<(PathBuf, File), String> {
    place::remove_stale(folder);
    let path = place::temporary(folder, "new");
    let failed = |error: io::Error| format!("write {}: {error}", path.display());
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    remove_at_failure(&path, undo);
    file.write_all(bytes).map_err(failed)?;
    fchown(&file, Some(0), Some(0)).map_err(failed)?;
    Ok((path, file))
}

/// Removes a temporary file if a later step fails. By then it may have another name.
fn remove_at_failure(path: &Path, undo: &mut Undo) {
    let made = path.to_owned();
    undo.push_temporary(format!("{} was removed", path.display()), move || match fs::remove_file(made) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    });
}

/// Writes the program beside its place, checks it there, and gives it its capability last.
fn write_program(folder: &Path, bytes: &[u8], undo: &mut Undo) -> Result<PathBuf, String> {
    let (path, file) = write_file(folder, bytes, undo)?;
    let failed = |error: io::Error| format!("write {}: {error}", path.display());
    file.set_permissions(Permissions::from_mode(0o755)).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    // No file can be started that is open to be written.
    drop(file);
    program::try_out(&path)?;
    let file = place::open(&path).map_err(failed)?;
    file_capability::set(file.as_fd(), RIGHTS)
        .and_then(|()| file.sync_all())
        .map_err(|error| format!("give the helper its capability: {error}"))?;
    place::check_file(&file).map_err(|problem| format!("the new helper {problem}"))?;
    Ok(path)
}

/// Installs the policy, if one is to be, and checks that the helper would accept it.
fn install_policy(wanted: Wanted, undo: &mut Undo) -> Result<Done, String> {
    let path = Path::new(policy::PATH);
    let Wanted::New { text, origin } = wanted else {
        return Ok(Done::new("policy", format!("{} is accepted, and stays as it is", path.display())));
    };
    let folder = folder_of(path)?;
    make_folder(folder, undo)?;
    let (temporary, file) = write_file(folder, text.as_bytes(), undo)?;
    let failed = |error: io::Error| format!("install {}: {error}", path.display());
    file.set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    // It fails if another has written a policy meanwhile, which a rename would replace.
    fs::hard_link(&temporary, path).map_err(failed)?;
    undo.push(format!("{} was removed", path.display()), move || fs::remove_file(path));
    fs::remove_file(&temporary).map_err(failed)?;
    place::sync_folder(path).map_err(failed)?;
    Policy::read().map_err(|error| format!("the new policy is not accepted: {error}"))?;
    Ok(Done::new("policy", format!("{} is new, from {origin}", path.display())))
}

/// Puts the new program in the place of the old one, whose file loses its capability: another link to it,
/// which a user may have made, is then of no use.
fn replace(temporary: &Path, path: &Path, undo: &mut Undo) -> Result<(), String> {
    let failed = |error: io::Error| format!("install {}: {error}", path.display());
    let mut kept = None;
    match place::open(path) {
        Ok(old) => {
            disarm(old, path, undo)?;
            let name = place::temporary(folder_of(path)?, "old");
            fs::hard_link(path, &name).map_err(failed)?;
            remove_at_failure(&name, undo);
            kept = Some(name);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("the present helper, {}: {error}", path.display())),
    }
    fs::rename(temporary, path).map_err(failed)?;
    let (made, old) = (path.to_owned(), kept.clone());
    match &kept {
        Some(_) => undo.push(format!("the helper that was {} is there again", path.display()), move || {
            old.map_or(Ok(()), |old| fs::rename(old, made))
        }),
        None => undo.push(format!("{} was removed", path.display()), move || fs::remove_file(made)),
    }
    place::sync_folder(path).map_err(failed)?;
    place::check(path)?;
    // It works from here on. A stale link is in nobody's way, and the next installation removes it.
    if let Some(old) = kept {
        let _ = fs::remove_file(old);
    }
    Ok(())
}

/// Takes a file's capability away.
fn disarm(old: File, path: &Path, undo: &mut Undo) -> Result<(), String> {
    let failed = |error: io::Error| format!("take the capability of {}: {error}", path.display());
    if !old.metadata().map_err(failed)?.is_file() {
        return Err(format!("{} is no file. Remove it first", path.display()));
    }
    let had: Option<FileCapabilities> = file_capability::get(old.as_fd()).unwrap_or_default();
    file_capability::remove(old.as_fd()).map_err(failed)?;
    if let Some(had) = had {
        undo.push(format!("{} got its capability back", path.display()), move || {
            file_capability::set(old.as_fd(), had)
        });
    }
    Ok(())
}

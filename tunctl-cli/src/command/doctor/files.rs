//! The files of a system, below a root, so that a test can lay out a broken system in a folder.

use std::fs;
use std::path::{Path, PathBuf};

/// A system's files. Paths are relative to its root.
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn at(root: impl AsRef<Path>) -> Self {
        Self { root: root.as_ref().to_owned() }
    }

    /// The text of a file; `None` if there is none, or if it is closed to the caller.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        fs::read(self.root.join(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// What a link of the kernel's leads to, such as a namespace.
    pub(super) fn link(&self, path: &str) -> Option<PathBuf> {
        fs::read_link(self.root.join(path)).ok()
    }

    /// The names in a folder, sorted. None, if there is no such folder.
    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A system in a folder, which goes with this.
    pub(in super::super) struct System {
        root: PathBuf,
        pub(in super::super) files: Files,
    }

    impl System {
        /// With these files.
        pub(in super::super) fn new(files: &[(&str, &str)]) -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let root = std::env::temp_dir().join(format!("tunctl-doctor-{}-{number}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self { files: Files::at(&root), root }
        }
    }

    impl Drop for System {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.root);
        }
    }

    #[test]
    fn paths_are_below_the_root() {
        let system = System::new(&[("etc/b", "two"), ("etc/a", "one")]);
        assert_eq!(system.files.read("etc/a").as_deref(), Some("one"));
        assert_eq!(system.files.list("etc"), ["a", "b"]);
        assert!(system.files.exists("etc/b") && !system.files.exists("proc"));
        assert!(system.files.read("etc/c").is_none() && system.files.list("proc").is_empty());
    }
}

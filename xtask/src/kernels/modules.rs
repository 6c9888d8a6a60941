//! The kernel modules that the suite needs, with those that they need.

use std::fs;
use std::path::{Path, PathBuf};

use super::packages::Unpacked;
use crate::Outcome;
use crate::apt::capture;

/// The driver, and the sorts of interface that tests tell from its own.
const WANTED: &[&str] = &["tun", "dummy", "veth", "bridge"];

/// A module, as the kernel loads it.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The modules in the order in which to load them. What the kernel has built in needs no file.
pub(super) fn needed(unpacked: &Unpacked) -> Outcome<Vec<Module>> {
    let folder = unpacked.modules();
    let files = files(folder)?;
    let builtin = folder.join("modules.builtin");
    let builtin =
        fs::read_to_string(&builtin).map_err(|error| format!("read {}: {error}", builtin.display()))?;
    let mut loaded = Vec::new();
    for name in WANTED {
        add(name, &files, &builtin, unpacked, &mut loaded)?;
    }
    Ok(loaded)
}

/// Adds a module after all that it needs.
fn add(
    name: &str,
    files: &[PathBuf],
    builtin: &str,
    unpacked: &Unpacked,
    loaded: &mut Vec<Module>,
) -> Outcome {
    let is_builtin = || builtin.lines().any(|line| module_name(Path::new(line)).as_deref() == Some(name));
    if loaded.iter().any(|module| module.name == name) || is_builtin() {
        return Ok(());
    }
    let path = files.iter().find(|path| module_name(path).as_deref() == Some(name));
    let path = path.ok_or_else(|| format!("the kernel {} has no module {name}", unpacked.release()))?;
    let bytes = read(path, unpacked)?;
    for needed in dependencies(&bytes) {
        add(&needed, files, builtin, unpacked, loaded)?;
    }
    loaded.push(Module { name: name.to_owned(), bytes });
    Ok(())
}

/// All module files below a folder.
fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("list {}: {error}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if module_name(&path).is_some() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// A module file's content. Not every kernel can load what is compressed, nor can every loader ask it to.
fn read(path: &Path, unpacked: &Unpacked) -> Outcome<Vec<u8>> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => fs::read(path).map_err(|error| format!("read {}: {error}", path.display())),
        Some("xz") => capture(unpacked.busybox().arg("xzcat").arg(path)),
        _ => Err(format!("{} is compressed in a way that is not known here", path.display())),
    }
}

/// The name by which other modules know it: without a folder and `.ko`, and with underscores.
fn module_name(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

/// The modules that one says it needs. (The package has no `modules.dep`: installing it makes that.)
fn dependencies(module: &[u8]) -> Vec<String> {
    let list = module.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(b"depends="));
    let list = list.map(String::from_utf8_lossy).unwrap_or_default();
    list.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_names_what_it_needs() {
        assert_eq!(dependencies(b"\x7fELF\0license=GPL\0depends=llc,stp\0name=bridge\0"), ["llc", "stp"]);
        assert!(dependencies(b"\x7fELF\0depends=\0name=tun\0").is_empty());
        assert!(dependencies(b"\x7fELF\0").is_empty());
    }

    #[test]
    fn a_file_is_called_as_its_module_whether_compressed_or_not() {
        let name = |path: &str| module_name(Path::new(path));
        assert_eq!(name("kernel/drivers/net/tun.ko").as_deref(), Some("tun"));
        assert_eq!(name("kernel/net/nf-x.ko.xz").as_deref(), Some("nf_x"));
        assert_eq!(name("modules.builtin"), None);
    }
}

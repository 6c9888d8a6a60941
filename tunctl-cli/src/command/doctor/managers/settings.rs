//! Files of sections and settings: `systemd.syntax(7)`, and the key files of GLib.

use super::super::files::Files;

/// The settings of a file, in its order.
#[derive(Default)]
pub(super) struct Settings(Vec<Setting>);

struct Setting {
    section: String,
    key: String,
    value: String,
}

impl Settings {
    pub(super) fn parse(text: &str) -> Self {
        let mut settings = Vec::new();
        let mut section = String::new();
        let mut begun = String::new();
        for line in text.lines() {
            let line = line.trim();
            if begun.is_empty() && (line.is_empty() || line.starts_with(['#', ';'])) {
                continue;
            }
            begun.push_str(line);
            // The next line goes on.
            if let Some(so_far) = begun.strip_suffix('\\') {
                begun = format!("{so_far} ");
                continue;
            }
            let line = std::mem::take(&mut begun);
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                settings.push(Setting { section: section.clone(), key, value });
            }
        }
        Self(settings)
    }

    /// Adds those of a file that comes later.
    pub(super) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// The keys of a section, each once.
    pub(super) fn keys(&self, section: &str) -> Vec<&str> {
        let mut keys: Vec<_> = self.of(section).map(|setting| setting.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The words of a list. An empty value forgets those before it.
    pub(super) fn words(&self, section: &str, key: &str) -> Vec<&str> {
        let mut words = Vec::new();
        for setting in self.of(section).filter(|setting| setting.key == key) {
            if setting.value.is_empty() {
                words.clear();
            }
            words.extend(setting.value.split_whitespace());
        }
        words
    }

    /// The value that counts: the last one.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<&str> {
        let last = self.of(section).filter(|setting| setting.key == key).last()?;
        Some(&last.value)
    }

    fn of(&self, section: &str) -> impl Iterator<Item = &Setting> {
        self.0.iter().filter(move |setting| setting.section == section)
    }
}

/// Whether a value is one of those that mean yes, in either syntax.
pub(super) fn is_yes(value: &str) -> bool {
    ["1", "yes", "y", "true", "t", "on"].iter().any(|yes| yes.eq_ignore_ascii_case(value))
}

/// The files of this extension in these folders, in the order of their names. Of those with one name, the
/// first folder's counts alone.
pub(super) fn files_of(files: &Files, folders: &[&str], extension: &str) -> Vec<String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for folder in folders {
        for name in files.list(folder) {
            if name.ends_with(extension) && found.iter().all(|(its, _)| *its != name) {
                let path = format!("{folder}/{name}");
                found.push((name, path));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::files::tests::System;
    use super::*;

    #[test]
    fn settings_belong_to_their_section() {
        let settings = Settings::parse(
            "; a comment\nName=nowhere\n[Match]\nName = en* \\\n  eth*\n# Type=wlan\nName=usb0\n[Link]\nUnmanaged=no\n\
             Unmanaged=yes\n[Network]\nName=\n",
        );
        assert_eq!(settings.words("Match", "Name"), ["en*", "eth*", "usb0"]);
        assert_eq!(settings.keys("Match"), ["Name"]);
        assert_eq!(settings.value("Link", "Unmanaged"), Some("yes"));
        assert_eq!(settings.value("Match", "Type"), None);
        let reset = Settings::parse("[Match]\nName=a\nName=\nName=b\n");
        assert_eq!(reset.words("Match", "Name"), ["b"]);
    }

    #[test]
    fn a_file_of_the_administrator_replaces_the_vendors() {
        let system = System::new(&[
            ("usr/20-b.network", ""),
            ("etc/20-b.network", ""),
            ("usr/10-a.network", ""),
            ("etc/30-c.netdev", ""),
        ]);
        let found = files_of(&system.files, &["etc", "usr"], ".network");
        assert_eq!(found, ["usr/10-a.network", "etc/20-b.network"]);
    }
}

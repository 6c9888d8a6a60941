//! systemd-networkd: `systemd.network(5)`, `systemd.netdev(5)`.

use tunctl::Layer;

use super::super::files::Files;
use super::glob;
use super::settings::{Settings, files_of, is_yes};

/// The first that has a file of some name counts.
const FOLDERS: [&str; 5] = [
    "etc/systemd/network",
    "run/systemd/network",
    "usr/local/lib/systemd/network",
    "usr/lib/systemd/network",
    "lib/systemd/network",
];

/// The file by which networkd configures such an interface, or makes it: of those that match, the first.
pub(super) fn file_for(files: &Files, name: &str, layer: Layer) -> Option<String> {
    let making = files_of(files, &FOLDERS, ".netdev")
        .into_iter()
        .find(|path| read(files, path).value("NetDev", "Name").is_some_and(|made| made == name));
    making.or_else(|| {
        let (settings, path) = files_of(files, &FOLDERS, ".network")
            .into_iter()
            .map(|path| (read(files, &path), path))
            .find(|(settings, _)| is_for(settings, name, layer))?;
        let is_unmanaged = settings.value("Link", "Unmanaged").is_some_and(is_yes);
        (!is_unmanaged).then_some(path)
    })
}

/// What keeps networkd away from these interfaces.
pub(super) fn remedy(names: &[&str]) -> String {
    format!(
        "Keep it away: printf '[Match]\\nName={}\\n[Link]\\nUnmanaged=yes\\n' | \
         sudo tee /etc/systemd/network/00-tunctl.network && sudo networkctl reload.",
        names.join(" ")
    )
}

/// A file, and the parts that folders of the same name add.
fn read(files: &Files, path: &str) -> Settings {
    let mut settings = Settings::parse(&files.read(path).unwrap_or_default());
    let name = path.rsplit('/').next().unwrap_or(path);
    let parts = FOLDERS.map(|folder| format!("{folder}/{name}.d"));
    for part in files_of(files, &parts.each_ref().map(String::as_str), ".conf") {
        settings.extend(Settings::parse(&files.read(&part).unwrap_or_default()));
    }
    settings
}

/// Whether a file's section `[Match]` matches such an interface. Conditions on the machine are taken to hold.
fn is_for(settings: &Settings, name: &str, layer: Layer) -> bool {
    let mut keys = settings.keys("Match");
    keys.retain(|key| !settings.words("Match", key).is_empty());
    // A file without any is ignored.
    !keys.is_empty()
        && keys.into_iter().all(|key| {
            let property = match key {
                "Name" => Some(name),
                // `ARPHRD_NONE` and `ARPHRD_ETHER`, in networkd's words.
                "Type" => Some(if layer == Layer::Tun { "none" } else { "ether" }),
                // netlink's kind and ethtool's driver are the same for both layers.
                "Kind" | "Driver" => Some("tun"),
                // A tun or tap has none of these, but for a MAC address that is chosen at random.
                "Path" | "MACAddress" | "PermanentMACAddress" | "SSID" | "BSSID" | "WLANInterfaceType" => {
                    None
                }
                _ => return true,
            };
            is_listed(&settings.words("Match", key), property)
        })
}

/// Whether patterns match a property. An exclamation mark in front inverts all of them.
fn is_listed(patterns: &[&str], property: Option<&str>) -> bool {
    let is_inverted = patterns.first().is_some_and(|first| first.starts_with('!'));
    let is_match = |pattern: &&str| {
        let pattern = if is_inverted { pattern.trim_start_matches('!') } else { pattern };
        property.is_some_and(|property| glob::matches(pattern, property))
    };
    patterns.iter().any(is_match) != is_inverted
}

#[cfg(test)]
mod tests {
    use super::super::super::files::tests::System;
    use super::*;

    /// Whether a file with this section matches a tun, and a tap, of the name vpn0.
    fn matched(section: &str) -> (bool, bool) {
        let settings = Settings::parse(&format!("[Match]\n{section}\n"));
        (is_for(&settings, "vpn0", Layer::Tun), is_for(&settings, "vpn0", Layer::Tap))
    }

    #[test]
    fn a_section_matches_by_all_its_settings() {
        for (section, expected) in [
            ("Name=vpn*", (true, true)),
            ("Name=en* vpn0", (true, true)),
            ("Name=en*", (false, false)),
            ("Name=!en* eth*", (true, true)),
            ("Name=!vpn* eth*", (false, false)),
            ("Type=ether", (false, true)),
            ("Type=none", (true, false)),
            ("Type=!wlan loopback", (true, true)),
            ("Kind=tun", (true, true)),
            ("Kind=veth\nName=*", (false, false)),
            ("Kind=!*", (false, false)),
            ("Driver=tun", (true, true)),
            ("Path=pci-*", (false, false)),
            ("MACAddress=02:00:5e:10:00:01", (false, false)),
            ("Name=*\nWLANInterfaceType=station", (false, false)),
            ("Host=gateway\nType=ether", (false, true)),
            ("Name=\nType=ether", (false, true)),
            ("", (false, false)),
        ] {
            assert_eq!(matched(section), expected, "{section}");
        }
    }

    #[test]
    fn the_first_file_that_matches_decides() {
        const WIRED: (&str, &str) = ("etc/systemd/network/20-wired.network", "[Match]\nType=ether\n");
        let file = |files: &[(&str, &str)]| file_for(&System::new(files).files, "tap0", Layer::Tap);
        assert_eq!(file(&[WIRED]).as_deref(), Some(WIRED.0));
        let unmanaged =
            ("run/systemd/network/10-taps.network", "[Match]\nName=tap*\n[Link]\nUnmanaged=yes\n");
        assert_eq!(file(&[WIRED, unmanaged]), None);
        let later = ("usr/lib/systemd/network/30-taps.network", unmanaged.1);
        assert_eq!(file(&[WIRED, later]).as_deref(), Some(WIRED.0));
        // An empty file of the same name hides the vendor's.
        let vendors = ("usr/lib/systemd/network/20-wired.network", WIRED.1);
        assert_eq!(file(&[vendors, (WIRED.0, "")]), None);
        let part = ("etc/systemd/network/20-wired.network.d/mine.conf", "[Link]\nUnmanaged=yes\n");
        assert_eq!(file(&[vendors, part]), None);
        let made = ("etc/systemd/network/tap.netdev", "[NetDev]\nName=tap0\nKind=tap\n");
        assert_eq!(file(&[unmanaged, made]).as_deref(), Some(made.0));
    }
}

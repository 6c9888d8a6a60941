//! NetworkManager: `NetworkManager.conf(5)`.
//!
//! It shows a tun or tap of another program as connected externally, and leaves it as it is, unless a profile
//! names the interface.

use tunctl::Layer;

use super::super::files::Files;
use super::glob;
use super::settings::{Settings, files_of};

/// Where profiles are. Those of the first two are closed to all but root.
const PROFILES: [&str; 3] = [
    "etc/NetworkManager/system-connections",
    "run/NetworkManager/system-connections",
    "usr/lib/NetworkManager/system-connections",
];
/// The configuration beside `NetworkManager.conf`. The first that has a file of some name counts.
const CONFIGURATION: [&str; 3] =
    ["etc/NetworkManager/conf.d", "run/NetworkManager/conf.d", "usr/lib/NetworkManager/conf.d"];

/// The profile by which NetworkManager would configure an interface of this name.
pub(super) fn file_for(files: &Files, name: &str, _: Layer) -> Option<String> {
    let profile = files_of(files, &PROFILES, "").into_iter().find(|path| {
        let profile = Settings::parse(&files.read(path).unwrap_or_default());
        profile.value("connection", "interface-name") == Some(name)
            && profile.value("connection", "autoconnect") != Some("false")
    })?;
    (!is_unmanaged(&unmanaged_devices(files), name)).then_some(profile)
}

/// What keeps NetworkManager away from these interfaces.
pub(super) fn remedy(names: &[&str]) -> String {
    let devices: Vec<_> = names.iter().map(|name| format!("interface-name:{name}")).collect();
    format!(
        "Keep it away: printf '[keyfile]\\nunmanaged-devices+={}\\n' | \
         sudo tee /etc/NetworkManager/conf.d/tunctl.conf && sudo nmcli general reload conf.",
        devices.join(";")
    )
}

/// The list of devices that are not managed: of several, the last, and what was added to it.
fn unmanaged_devices(files: &Files) -> String {
    let main = "etc/NetworkManager/NetworkManager.conf".to_owned();
    let (own, mut others): (Vec<_>, Vec<_>) =
        files_of(files, &CONFIGURATION, ".conf").into_iter().partition(|path| path.starts_with("etc/"));
    // The vendor's come first.
    others.sort_by_key(|path| !path.starts_with("usr/"));
    let mut devices = String::new();
    for path in others.into_iter().chain([main]).chain(own) {
        let settings = Settings::parse(&files.read(&path).unwrap_or_default());
        if let Some(list) = settings.value("keyfile", "unmanaged-devices") {
            list.clone_into(&mut devices);
        }
        if let Some(more) = settings.value("keyfile", "unmanaged-devices+") {
            devices = format!("{devices};{more}");
        }
    }
    devices
}

/// Whether a list of devices has an interface of this name. What is excepted goes before what is listed.
fn is_unmanaged(devices: &str, name: &str) -> bool {
    let (excepted, listed): (Vec<_>, Vec<_>) = devices
        .split([';', ','])
        .map(str::trim)
        .filter(|device| !device.is_empty())
        .partition(|device| device.starts_with("except:"));
    let is_excepted = excepted.iter().any(|device| is_device(&device["except:".len()..], name));
    // Exceptions alone are exceptions of all.
    let is_listed =
        listed.iter().any(|device| is_device(device, name)) || listed.is_empty() && !excepted.is_empty();
    is_listed && !is_excepted
}

/// Whether this describes a tun or tap of this name.
fn is_device(description: &str, name: &str) -> bool {
    match description.split_once(':') {
        None => description == "*" || description == name,
        Some(("interface-name", exact)) if exact.starts_with('=') => exact[1..] == *name,
        Some(("interface-name", pattern)) => glob::matches(pattern.trim_start_matches('~'), name),
        Some(("driver", driver)) => glob::matches(driver, "tun"),
        Some(("type", kind)) => kind == "tun",
        // A MAC address, or what a tun or tap has not.
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::files::tests::System;
    use super::*;

    const PROFILE: (&str, &str) = (
        "etc/NetworkManager/system-connections/office.nmconnection",
        "[connection]\nid=office\ntype=tun\ninterface-name=vpn0\n",
    );

    fn file(files: &[(&str, &str)]) -> Option<String> {
        file_for(&System::new(files).files, "vpn0", Layer::Tun)
    }

    #[test]
    fn only_a_profile_that_names_the_interface_is_for_it() {
        assert_eq!(file(&[PROFILE]).as_deref(), Some(PROFILE.0));
        let other = ("etc/NetworkManager/system-connections/home", "[connection]\ninterface-name=wlan0\n");
        assert_eq!(file(&[other]), None);
        let manual = format!("{}autoconnect=false\n", PROFILE.1);
        assert_eq!(file(&[(PROFILE.0, &manual)]), None);
    }

    #[test]
    fn an_unmanaged_device_is_left_alone() {
        let with = |path, list: &str| {
            file(&[PROFILE, (path, &format!("[keyfile]\nunmanaged-devices={list}\n"))]).is_some()
        };
        const MAIN: &str = "etc/NetworkManager/NetworkManager.conf";
        assert!(!with(MAIN, "interface-name:vpn*"));
        assert!(!with("usr/lib/NetworkManager/conf.d/10.conf", "type:tun"));
        assert!(with(MAIN, "interface-name:tap*;mac:02:00:5e:10:00:01"));
        let vendors = ("usr/lib/NetworkManager/conf.d/10.conf", "[keyfile]\nunmanaged-devices=*\n");
        let own = ("etc/NetworkManager/conf.d/99.conf", "[keyfile]\nunmanaged-devices=eth0\n");
        assert!(file(&[PROFILE, vendors]).is_none() && file(&[PROFILE, vendors, own]).is_some());
        let more = ("etc/NetworkManager/conf.d/99.conf", "[keyfile]\nunmanaged-devices+=eth0\n");
        assert!(file(&[PROFILE, vendors, more]).is_none());
    }

    #[test]
    fn a_list_of_devices_has_exceptions() {
        for (devices, expected) in [
            ("", false),
            ("vpn0", true),
            ("interface-name:=vpn0", true),
            ("interface-name:=vpn*", false),
            ("interface-name:~vpn*", true),
            ("driver:tun", true),
            ("type:ethernet,wlan0", false),
            ("*;except:interface-name:vpn0", false),
            ("*,except:type:ethernet", true),
            ("except:interface-name:eth0", true),
            ("except:type:tun", false),
        ] {
            assert_eq!(is_unmanaged(devices, "vpn0"), expected, "{devices}");
        }
    }
}

//! Errors of interfaces.

use std::ffi::CString;
use std::fs;

use nix::errno::Errno;
use tunctl_core::{
    Cause, Error, Interface, InterfaceAddress, InterfaceConfig, MacAddress, Mtu, Operation, State,
    TunBackend, TunDevice,
};
use tunctl_linux::LinuxInterface;
use tunctl_testing::ip;

use super::super::support::{address, backend, name, refused, tap, tun};
use super::{Row, here};

pub(super) fn rows() -> Vec<Row> {
    [values(), addresses(), gone()].into_iter().flatten().collect()
}

fn mtu(bytes: u32) -> Mtu {
    Mtu::new(bytes).unwrap()
}

fn values() -> Vec<Row> {
    use Operation as O;
    vec![
        here(
            O::SetMtu,
            &[Errno::EINVAL],
            "it is more than a tap takes",
            (Cause::InvalidMtu, "at most 65521"),
            || refused(tap("tap0").interface().set_mtu(mtu(65_535))),
        ),
        here(
            O::SetMtu,
            &[],
            "the interface would lose an IPv6 address",
            (Cause::InvalidMtu, "would lose fd77::1/64"),
            || {
                let device = tun("tun0");
                device.interface().add_address(address("fd77::1/64")).unwrap();
                refused(device.interface().apply(&InterfaceConfig::new().mtu(mtu(1279))))
            },
        ),
        here(
            O::SetMac,
            &[Errno::EOPNOTSUPP, Errno::EINVAL],
            "it is a tun",
            (Cause::LayerMismatch, "Create a tap"),
            || refused(tun("tun0").interface().set_mac(MacAddress::from_kernel([2, 0, 0, 0, 0, 1]))),
        ),
        here(
            O::SetMac,
            &[Errno::EADDRNOTAVAIL],
            "the address is a multicast address",
            (Cause::InvalidMac, "MAC address is invalid"),
            || refused(tap("tap0").interface().set_mac(MacAddress::from_kernel([1, 0, 0, 0, 0, 1]))),
        ),
        here(
            O::SetQueueLength,
            &[Errno::EPERM, Errno::ERANGE],
            "the kernel has no memory for such a queue, or no number",
            (Cause::InvalidValue, "Choose a smaller"),
            || refused(tun("tun0").interface().set_queue_length(u32::MAX)),
        ),
        here(
            O::Describe,
            &[Errno::ERANGE, Errno::EINVAL],
            "the text is longer than 255 bytes",
            (Cause::InvalidValue, "a shorter one"),
            || {
                let text = CString::new([b'x'; 256]).unwrap();
                refused(tun("tun0").interface().set_description(&text))
            },
        ),
        here(
            O::Rename,
            &[Errno::EEXIST],
            "the name is taken",
            (Cause::Exists, "Choose another name"),
            || refused(tun("tun0").interface().rename(&name("lo"))),
        ),
        here(
            O::Configure,
            &[],
            "a value of the configuration is invalid",
            (Cause::InvalidName, "general settings under these names"),
            || refused(tun("tun0").interface().apply(&InterfaceConfig::new().name("all"))),
        ),
    ]
}

/// An error of adding an address to a tun.
fn add(to: &LinuxInterface, text: &str) -> Error {
    refused(to.add_address(address(text)))
}

fn add_with_another_prefix() -> Error {
    let device = tun("tun0");
    device.interface().add_address(address("fd77::1/64")).unwrap();
    add(device.interface(), "fd77::1/48")
}

fn add_where_ipv6_is_off() -> Error {
    let device = tun("tun0");
    fs::write("/proc/sys/net/ipv6/conf/tun0/disable_ipv6", "1").unwrap();
    add(device.interface(), "fd77::1/64")
}

fn add_to_a_small_mtu() -> Error {
    let device = tun("tun0");
    device.interface().set_mtu(mtu(1279)).unwrap();
    add(device.interface(), "fd77::1/64")
}

fn add_multicast() -> Error {
    let address = InterfaceAddress::from_kernel("ff0e::77".parse().unwrap(), 64, None, None);
    refused(tun("tun0").interface().add_address(address))
}

fn addresses() -> Vec<Row> {
    use Operation as O;
    vec![
        here(
            O::AddAddress,
            &[Errno::EEXIST],
            "an IPv6 address is there with another prefix",
            (Cause::AddressExists, "Remove the old one"),
            add_with_another_prefix,
        ),
        here(
            O::AddAddress,
            &[Errno::EACCES],
            "IPv6 is switched off",
            (Cause::NoIpv6, "sysctl net.ipv6.conf.tun0.disable_ipv6=0"),
            add_where_ipv6_is_off,
        ),
        here(
            O::AddAddress,
            &[Errno::EINVAL],
            "the MTU is too small for IPv6",
            (Cause::InvalidAddress, "less than 1280 bytes"),
            add_to_a_small_mtu,
        ),
        here(
            O::AddAddress,
            &[Errno::EADDRNOTAVAIL, Errno::EINVAL],
            "no interface can have the address",
            (Cause::InvalidAddress, "address is invalid"),
            add_multicast,
        ),
        here(
            O::RemoveAddress,
            &[Errno::EADDRNOTAVAIL],
            "the interface does not have it",
            (Cause::AddressNotFound, "must match"),
            || refused(tun("tun0").interface().remove_address(address("10.1.1.1/24"))),
        ),
        here(
            O::RemoveAddress,
            &[],
            "a configuration removes one that is not there",
            (Cause::AddressNotFound, "does not have 10.1.1.1/24"),
            || refused(tun("tun0").interface().apply(&InterfaceConfig::new().remove_address("10.1.1.1/24"))),
        ),
    ]
}

/// What an operation answers on an interface that another program has deleted.
fn on_deleted<T>(operation: impl FnOnce(&LinuxInterface) -> tunctl_core::Result<T>) -> Error {
    ip("tuntap add dev gone mode tap");
    let interface = backend().interface(&name("gone")).unwrap();
    ip("link delete gone");
    refused(operation(&interface))
}

fn gone() -> Vec<Row> {
    use Operation as O;
    let gone = |operation, provoke| {
        here(
            operation,
            &[Errno::ENODEV],
            "the interface was deleted",
            (Cause::Gone, "create a new one"),
            provoke,
        )
    };
    vec![
        gone(O::Inspect, || on_deleted(Interface::info)),
        gone(O::Up, || on_deleted(|gone| gone.set_state(State::Up))),
        gone(O::Down, || on_deleted(|gone| gone.set_state(State::Down))),
        gone(O::SetMtu, || on_deleted(|gone| gone.set_mtu(mtu(1400)))),
        gone(O::SetMac, || on_deleted(|gone| gone.set_mac(MacAddress::from_kernel([2, 0, 0, 0, 0, 1])))),
        gone(O::SetQueueLength, || on_deleted(|gone| gone.set_queue_length(7))),
        gone(O::Describe, || on_deleted(|gone| gone.set_description(c"gone"))),
        gone(O::ListAddresses, || on_deleted(Interface::addresses)),
        gone(O::AddAddress, || on_deleted(|gone| gone.add_address(address("10.1.1.1/24")))),
        gone(O::RemoveAddress, || on_deleted(|gone| gone.remove_address(address("10.1.1.1/24")))),
        gone(O::Rename, || on_deleted(|gone| gone.rename(&name("other")))),
        gone(O::Delete, || on_deleted(Interface::delete)),
    ]
}
